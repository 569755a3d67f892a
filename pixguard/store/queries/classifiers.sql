-- Every classifier with the dataset that it was trained on; the candidates that a table about
-- classification chooses from. has_rows tells whether its clean predictions were stored,
-- has_certificates whether it gave certificates.
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
    CASE WHEN EXISTS (SELECT 1 FROM prediction p WHERE p.model_id = m.id)
        THEN 1 ELSE 0 END AS has_rows,
    CASE WHEN EXISTS (SELECT 1 FROM certificate c WHERE c.model_id = m.id)
        THEN 1 ELSE 0 END AS has_certificates
FROM model m
JOIN dataset d ON d.id = m.dataset_id
WHERE m.kind = 'classifier'
ORDER BY m.id
