-- Every attack on every classifier: one attack, threat, target, defence and seed a row, so that a
-- rate is over one attempt an image. What counts: first repeats; of an incomplete plan its
-- finished beginning.
WITH counted AS (
    SELECT
        t.model_id,
        t.attack_id,
        t.seed,
        t.target,
        t.through_model_id,
        MIN(t.image_id) AS image_id,
        COUNT(*) AS attempts,
        SUM(t.success) AS successes
    FROM sampled_attempts t
    WHERE t.repeat = 0
    GROUP BY t.model_id, t.attack_id, t.seed, t.target, t.through_model_id
)
SELECT
    m.id AS id,
    m.architecture AS architecture,
    d.name AS dataset,
    d.source AS source,
    d.size AS size,
    a.name AS attack,
    a.pixels AS pixels,
    k.name AS target,
    CASE WHEN h.kind = 'detector' THEN 'detector ' ELSE '' END || h.architecture AS through,
    c.seed AS seed,
    c.attempts AS attempts,
    c.successes AS successes
FROM counted c
JOIN model m ON m.id = c.model_id
JOIN attack a ON a.id = c.attack_id
JOIN image i ON i.id = c.image_id
JOIN dataset d ON d.id = i.dataset_id
LEFT JOIN dataset_class k ON k.dataset_id = d.id AND k.ordinal = c.target
LEFT JOIN model h ON h.id = c.through_model_id
ORDER BY
    m.id, a.name, a.pixels, a.id, c.through_model_id NULLS FIRST, c.target NULLS FIRST, c.seed
