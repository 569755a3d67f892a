-- Table classes: which label set the successful attempts turned into which.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
SELECT t.predicted_before AS before, t.predicted_after AS after, COUNT(*) AS images
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id AND t.success = 1
GROUP BY t.predicted_before, t.predicted_after
ORDER BY t.predicted_before, t.predicted_after
