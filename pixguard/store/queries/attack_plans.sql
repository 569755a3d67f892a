-- Which classifier was attacked on how many images, by which attack, with which seed; the
-- candidates that an attack table chooses from. A row of a table never mixes two of these.
-- Parameter: attack_name.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
-- The dataset is that of the attacked images, the classifier's own or the same images at native
-- size. Where pixels are changed is a parameter of the attack, so that any image tells which.
WITH counted AS (
    -- SQLite joins in this order where it says CROSS; it would look through all attempts else. The
    -- name is joined to '' so that its index is not used, for then the rows come in groups already.
    SELECT
        m.id AS model_id,
        a.id AS attack_id,
        t.seed,
        COUNT(*) AS images,
        SUM(t.success) AS successes,
        MIN(t.image_id) AS image_id
    FROM model m
    CROSS JOIN attack a
    CROSS JOIN attempts_that_count t
    WHERE m.kind = 'classifier' AND a.name || '' = :attack_name
      AND t.model_id = m.id AND t.attack_id = a.id
    GROUP BY m.id, a.id, t.seed
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
    SUM(c.successes) AS successes
FROM counted c
JOIN attack a ON a.id = c.attack_id
JOIN model m ON m.id = c.model_id
JOIN dataset o ON o.id = m.dataset_id
JOIN image i ON i.id = c.image_id
JOIN dataset d ON d.id = i.dataset_id
GROUP BY
    d.id, d.name, d.source, d.size, d.version, d.split_scheme, d.split_seed,
    m.id, m.architecture, m.weights_sha256, m.created_ms,
    m.dataset_id, o.size, a.id, a.name, a.version, a.pixels, a.parameters, c.seed
ORDER BY m.id, a.id, c.seed
