-- Every denoiser with the attacked images that it restored, all classifiers and attacks together.
SELECT
    m.id AS id,
    m.architecture AS architecture,
    d.name AS dataset,
    d.source AS source,
    d.size AS size,
    m.epochs AS epochs,
    COALESCE(r.restored, 0) AS restored
FROM model m
JOIN dataset d ON d.id = m.dataset_id
LEFT JOIN (
    SELECT denoiser_id, COUNT(*) AS restored
    FROM restoration
    WHERE attempt_id IS NOT NULL
    GROUP BY denoiser_id
) r ON r.denoiser_id = m.id
WHERE m.kind = 'denoiser'
ORDER BY m.id
