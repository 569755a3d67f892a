-- Figure attack-overlap: which images one attack was run on, and which it fooled.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
SELECT t.image_id, t.success
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id
ORDER BY t.image_id
