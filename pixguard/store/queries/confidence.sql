-- Figure confidence: how sure the classifier was before an attack, and what the attack left.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each. Both
-- confidences are of the clean decision, in percent, rounded to even numbers; one row for each
-- pair that occurs.
SELECT
    t.success,
    2 * CAST(ROUND(50 * t.confidence_before) AS INTEGER) AS before_percent,
    2 * CAST(ROUND(50 * t.true_confidence_after) AS INTEGER) AS after_percent,
    COUNT(*) AS attempts
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
