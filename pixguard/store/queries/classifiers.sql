-- Every classifier with the dataset that it was trained on, and with the same images at native size
-- (size 0) where it has judged those; the candidates that a table about classification chooses
-- from. is_plain tells whether it was trained here and is not certified; attacked is 2 with
-- attempts of the paper's attack, 1 with others. has_rows tells whether its clean predictions were stored, has_certificates whether it gave
-- certificates.
WITH native AS (
    SELECT p.model_id, i.dataset_id
    FROM dataset d
    JOIN image i ON i.dataset_id = d.id
    JOIN prediction p ON p.image_id = i.id
    WHERE d.size = 0
    GROUP BY p.model_id, i.dataset_id
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
    CASE WHEN m.architecture IN ('polyphase-vote', 'run-off', 'masked-consensus', 'randomised-ablation') OR m.hyperparameters LIKE '%"added_from"%'
        THEN 0 ELSE 1 END AS is_plain,
    CASE
        WHEN EXISTS (
            SELECT 1
            FROM attack a
            CROSS JOIN attempt t
            WHERE a.name = 'differential-evolution' AND t.model_id = m.id AND t.attack_id = a.id
        ) THEN 2
        WHEN EXISTS (SELECT 1 FROM attempt t WHERE t.model_id = m.id) THEN 1
        ELSE 0
    END AS attacked,
    CASE WHEN d.id <> m.dataset_id OR EXISTS (SELECT 1 FROM prediction p WHERE p.model_id = m.id)
        THEN 1 ELSE 0 END AS has_rows,
    CASE WHEN EXISTS (SELECT 1 FROM certificate c
        WHERE c.model_id = m.id AND c.method NOT LIKE 'pixel-%')
        THEN 1 ELSE 0 END AS has_certificates,
    CASE WHEN EXISTS (SELECT 1 FROM certificate c
        WHERE c.model_id = m.id AND c.method LIKE 'pixel-survey%')
        THEN 1 ELSE 0 END AS has_surveys,
    CASE WHEN EXISTS (SELECT 1 FROM certificate c
        WHERE c.model_id = m.id AND c.method LIKE 'pixel-sample%')
        THEN 1 ELSE 0 END AS has_samples
FROM model m
JOIN dataset o ON o.id = m.dataset_id
JOIN dataset d ON d.id = m.dataset_id OR d.id IN (
    SELECT n.dataset_id FROM native n WHERE n.model_id = m.id
)
WHERE m.kind = 'classifier'
ORDER BY m.id, d.id
