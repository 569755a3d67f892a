-- Every registered denoiser with the dataset that it belongs to.
SELECT d.name AS dataset, m.architecture
FROM model m
JOIN dataset d ON d.id = m.dataset_id
WHERE m.kind = 'denoiser'
GROUP BY d.name, m.architecture
ORDER BY d.name, m.architecture
