-- Tables 44, 45, 48 to 51: how long the registered models took to train, and where.
-- Parameters: kind (classifier or denoiser), dataset (name, or '' for all), architecture (or ''
-- for all), size (side in pixels, 0 for native, or -1 for all).
-- The computer is that of the run that finished the training, told by its GPU, or without one by
-- its CPU. Time is what the epochs took together, validation included.
SELECT
    d.name AS dataset,
    d.source,
    d.size,
    m.id AS model_id,
    m.architecture,
    m.hyperparameters,
    m.epochs,
    m.training_seconds,
    COALESCE(e.gpu, e.cpu) AS computer
FROM model m
JOIN dataset d ON d.id = m.dataset_id
JOIN run r ON r.id = m.run_id
JOIN environment e ON e.id = r.environment_id
WHERE m.kind = :kind AND m.epochs > 0
  AND (:dataset = '' OR d.name = :dataset)
  AND (:architecture = '' OR m.architecture = :architecture)
  AND (:size = -1 OR d.size = :size)
ORDER BY d.name, m.architecture, m.id
