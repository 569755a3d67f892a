-- Tables 32 and 33: attempts and successes of one classifier over all classes; one run of this
-- query is one row of the table.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
SELECT COUNT(*) AS attacked, COALESCE(SUM(t.success), 0) AS succeeded
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id
