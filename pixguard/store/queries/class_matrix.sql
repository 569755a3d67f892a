-- Figure class-changes: what became of every decision that was attacked.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each. A failed
-- attempt left the decision as it was, whatever its best candidate.
SELECT
    t.predicted_before AS before,
    CASE WHEN t.success = 1 THEN t.predicted_after ELSE t.predicted_before END AS after,
    COUNT(*) AS images
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id
GROUP BY 1, 2
ORDER BY 1, 2
