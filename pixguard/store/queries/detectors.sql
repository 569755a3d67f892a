-- Every registered detector with the dataset that it was trained on, and how many test images it
-- has scored. No parameters.
SELECT
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    d.version,
    d.split_scheme,
    d.split_seed,
    m.id AS detector_id,
    m.architecture,
    m.hyperparameters,
    m.weights_sha256,
    (SELECT COUNT(*) FROM detection n
        JOIN image i ON i.id = n.image_id
        WHERE n.detector_id = m.id AND n.attempt_id IS NULL AND i.split = 'test') AS scored
FROM model m
JOIN dataset d ON d.id = m.dataset_id
WHERE m.kind = 'detector'
ORDER BY m.id
