-- Figure denoiser-scores: every score of what denoisers made of the successes of one attack; an
-- infinite PSNR is NULL, and is_identical 1.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: successful non-targeted attempts on the bare classifier, the first repeat of each.
SELECT
    s.denoiser_id,
    m.architecture AS denoiser,
    s.psnr,
    s.ssim,
    s.mse,
    s.gmsd,
    s.fsim,
    s.is_identical
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
JOIN restoration_scores s ON s.attempt_id = t.id AND s.classifier_id = t.model_id
JOIN model m ON m.id = s.denoiser_id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id AND t.success = 1
ORDER BY s.denoiser_id, s.restoration_id
