-- Every attack on one classifier, once a seed; the figures that compare attacks choose from these.
-- Parameters: classifier_id, dataset_id (of the attacked images, as in attack_plans.sql).
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
SELECT
    a.id AS attack_id,
    a.name AS attack,
    a.version AS attack_version,
    a.pixels,
    a.parameters,
    t.seed,
    COUNT(*) AS images,
    SUM(t.success) AS successes
FROM attempts_that_count t
JOIN attack a ON a.id = t.attack_id
JOIN image i ON i.id = t.image_id
WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id
GROUP BY a.id, a.name, a.version, a.pixels, a.parameters, t.seed
ORDER BY a.pixels, a.name, a.id, t.seed
