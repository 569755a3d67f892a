-- Tables 3, 4, 5: which denoisers restored noisy test images, from which noise, and how many.
-- One row a denoiser and noise. No parameters.
SELECT
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    d.version,
    d.split_scheme,
    d.split_seed,
    m.id AS denoiser_id,
    m.architecture,
    m.hyperparameters,
    m.training_seconds,
    n.noise,
    n.level,
    n.seed,
    COUNT(*) AS images,
    MAX(n.id) AS newest
FROM denoising n
JOIN model m ON m.id = n.denoiser_id
JOIN dataset d ON d.id = m.dataset_id
GROUP BY
    d.id, d.name, d.source, d.size, d.version, d.split_scheme, d.split_seed,
    m.id, m.architecture, m.hyperparameters, m.training_seconds, n.noise, n.level, n.seed
ORDER BY d.id, m.id, n.noise, n.level, n.seed
