-- Table seeds: each run of an attack on one classifier, a run being one seed and one repeat.
-- Parameters: classifier_id, dataset_id (of the attacked images, as in attack_plans.sql).
-- What counts: attempts without a defence; of an incomplete plan its finished beginning.
-- A targeted run has an attempt for each target; its rate is of one target.
SELECT
    a.id AS attack_id,
    a.name AS attack,
    a.pixels,
    a.parameters,
    k.name AS target,
    t.seed,
    t.repeat,
    COUNT(*) AS images,
    SUM(t.success) AS successes,
    AVG(t.queries) AS mean_queries
FROM sampled_attempts t
JOIN attack a ON a.id = t.attack_id
JOIN image i ON i.id = t.image_id
LEFT JOIN dataset_class k ON k.dataset_id = i.dataset_id AND k.ordinal = t.target
WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id AND t.through_model_id IS NULL
GROUP BY a.id, a.name, a.pixels, a.parameters, t.target, k.name, t.seed, t.repeat
ORDER BY a.name, a.pixels, a.id, t.target NULLS FIRST, t.seed, t.repeat
