-- Figure success-queries: how many candidates the attempts of one attack evaluated until they
-- ended, and how many of them succeeded.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
SELECT t.queries, COUNT(*) AS attempts, SUM(t.success) AS successes
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id
GROUP BY t.queries
ORDER BY t.queries
