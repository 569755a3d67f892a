-- Table dense: what dense attacks on one classifier did, within which distance.
-- Parameters: classifier_id, dataset_id (of the attacked images, as in attack_plans.sql).
-- What counts: attempts of the first repeat on the bare classifier and in the face of defences; one attack,
-- its settings, one defence, one target and one seed a row; of an incomplete plan its beginning.
SELECT
    a.name AS attack,
    a.parameters,
    CASE WHEN h.kind = 'detector' THEN 'detector ' ELSE '' END || h.architecture AS through,
    k.name AS target,
    t.seed,
    COUNT(*) AS images,
    SUM(t.success) AS successes,
    AVG(CASE WHEN t.success = 1 THEN w.linf END) AS mean_linf,
    AVG(CASE WHEN t.success = 1 THEN w.l2 END) AS mean_l2,
    AVG(t.queries) AS mean_queries,
    AVG(t.elapsed_ms) AS mean_elapsed_ms
FROM sampled_attempts t
JOIN attack a ON a.id = t.attack_id
JOIN image i ON i.id = t.image_id
JOIN whole_image w ON w.attempt_id = t.id
LEFT JOIN model h ON h.id = t.through_model_id
LEFT JOIN dataset_class k ON k.dataset_id = i.dataset_id AND k.ordinal = t.target
WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id AND t.repeat = 0
GROUP BY a.id, a.name, a.parameters, h.id, h.kind, h.architecture, t.target, k.name, t.seed
ORDER BY a.name, a.id, h.id NULLS FIRST, t.target NULLS FIRST, t.seed
