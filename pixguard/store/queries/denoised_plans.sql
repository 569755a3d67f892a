-- The attack plans of which successful attempts were denoised; the candidates that a denoising
-- table chooses from. images counts distinct attempts, whatever the number of denoisers.
-- Parameter: attack_name.
-- The dataset is that of the attacked images, as in attack_plans.sql.
WITH counted AS (
    SELECT
        t.model_id,
        t.attack_id,
        t.seed,
        COUNT(DISTINCT t.id) AS images,
        MIN(t.image_id) AS image_id
    -- SQLite joins in this order where it says CROSS; the other way would take hours.
    FROM model m
    CROSS JOIN restoration r
    CROSS JOIN attempts_that_count t
    WHERE m.kind = 'classifier' AND r.classifier_id = m.id
      AND t.id = r.attempt_id AND t.model_id = m.id AND t.success = 1
    GROUP BY t.model_id, t.attack_id, t.seed
)
SELECT
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    d.version,
    d.split_scheme,
    d.split_seed,
    m.id AS classifier_id,
    m.architecture,
    m.weights_sha256,
    m.created_ms,
    m.dataset_id AS own_dataset_id,
    o.size AS input_size,
    a.id AS attack_id,
    a.name AS attack,
    a.version AS attack_version,
    a.pixels,
    a.parameters,
    c.seed,
    SUM(c.images) AS images,
    SUM(c.images) AS successes
FROM counted c
JOIN attack a ON a.id = c.attack_id
JOIN model m ON m.id = c.model_id
JOIN dataset o ON o.id = m.dataset_id
JOIN image i ON i.id = c.image_id
JOIN dataset d ON d.id = i.dataset_id
WHERE a.name = :attack_name
GROUP BY
    d.id, d.name, d.source, d.size, d.version, d.split_scheme, d.split_seed,
    m.id, m.architecture, m.weights_sha256, m.created_ms,
    m.dataset_id, o.size, a.id, a.name, a.version, a.pixels, a.parameters, c.seed
ORDER BY m.id, a.id, c.seed
