-- Table paired: every metric of every denoiser on each image that was attacked with success.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each. NaN is left
-- out; an infinite PSNR (restored without a trace) has no value, and its kind is 'inf'. Of a metric
-- with several versions only the newest counts.
WITH restored AS (
    SELECT r.id, r.attempt_id, r.denoiser_id, m.architecture AS denoiser
    FROM restoration r
    JOIN attempts_that_count t ON t.id = r.attempt_id
    JOIN image i ON i.id = t.image_id
    JOIN model m ON m.id = r.denoiser_id
    WHERE t.model_id = :classifier_id AND r.classifier_id = :classifier_id
      AND t.attack_id = :attack_id AND t.seed = :seed AND i.dataset_id = :dataset_id
      AND t.success = 1
)
SELECT k.name AS metric, o.denoiser_id, o.denoiser, o.attempt_id, s.value, s.value_kind
-- SQLite joins in this order where it says CROSS; it would look through all scores else.
FROM restored o
CROSS JOIN score s
CROSS JOIN newest_metric k
WHERE s.restoration_id = o.id AND k.id = s.metric_id AND s.value_kind <> 'nan'
ORDER BY k.id, o.denoiser_id, o.attempt_id
