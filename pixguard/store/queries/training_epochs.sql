-- Figure epochs: the losses of every registered model, an epoch a row.
-- Parameters: dataset (name, or '' for all), size (side in pixels, 0 for native, or -1 for all),
-- classifier_id (this classifier and the denoisers of its dataset, or 0 for all models).
SELECT
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    d.version,
    m.id AS model_id,
    m.kind,
    m.architecture,
    m.hyperparameters,
    m.created_ms,
    e.epoch,
    e.train_loss,
    e.val_loss,
    e.train_accuracy,
    e.val_accuracy
FROM training_epoch e
JOIN model m ON m.id = e.model_id
JOIN dataset d ON d.id = m.dataset_id
WHERE (:dataset = '' OR d.name = :dataset)
  AND (:size = -1 OR d.size = :size)
  AND (:classifier_id = 0 OR m.id = :classifier_id
    OR (m.kind = 'denoiser'
        AND m.dataset_id = (SELECT c.dataset_id FROM model c WHERE c.id = :classifier_id)))
ORDER BY m.id, e.epoch
