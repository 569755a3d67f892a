-- Tables 18, 20, 23, 25, 27, 29, 31, 36, 38, 40, 42: what each denoiser makes of the images that
-- were attacked with success.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- Identical images have an infinite PSNR. It is counted, kept out of the mean (its value is NULL)
-- and sorted last for the median, which is infinite when a middle value is. NaN is left out.
-- Of a metric with several versions only the newest counts.
WITH restored AS (
    SELECT r.id, r.denoiser_id, r.recovered
    FROM restoration r
    JOIN attempts_that_count t ON t.id = r.attempt_id
    JOIN image i ON i.id = t.image_id
    WHERE t.success = 1
      AND t.model_id = :classifier_id AND r.classifier_id = :classifier_id
      AND t.attack_id = :attack_id AND t.seed = :seed AND i.dataset_id = :dataset_id
),
scored AS (
    SELECT o.denoiser_id, k.name AS metric, s.value, s.value_kind
    -- SQLite joins in this order where it says CROSS; it would look through all scores else.
    FROM restored o
    CROSS JOIN score s
    CROSS JOIN newest_metric k
    WHERE s.restoration_id = o.id AND k.id = s.metric_id AND s.value_kind <> 'nan'
),
ranked AS (
    SELECT
        denoiser_id,
        value,
        value_kind,
        ROW_NUMBER() OVER (
            PARTITION BY denoiser_id
            ORDER BY CASE WHEN value_kind = 'finite' THEN 0 ELSE 1 END, value
        ) AS place,
        COUNT(*) OVER (PARTITION BY denoiser_id) AS places
    FROM scored
    WHERE metric = 'psnr'
),
middle AS (
    -- The middle value, or the middle two of an even number.
    SELECT
        denoiser_id,
        AVG(value) AS psnr_median,
        COUNT(CASE WHEN value_kind = 'inf' THEN 1 END) AS psnr_median_infinite
    FROM ranked
    WHERE 2 * place BETWEEN places AND places + 2
    GROUP BY denoiser_id
),
summary AS (
    SELECT
        denoiser_id,
        AVG(CASE WHEN metric = 'psnr' THEN value END) AS psnr,
        COUNT(CASE WHEN metric = 'psnr' THEN value END) AS psnr_finite,
        COUNT(CASE WHEN metric = 'psnr' AND value_kind = 'inf' THEN 1 END) AS psnr_infinite,
        AVG(CASE WHEN metric = 'ssim' THEN value END) AS ssim,
        COUNT(CASE WHEN metric = 'ssim' THEN value END) AS ssim_finite,
        AVG(CASE WHEN metric = 'mse' THEN value END) AS mse,
        COUNT(CASE WHEN metric = 'mse' THEN value END) AS mse_finite,
        AVG(CASE WHEN metric = 'gmsd' THEN value END) AS gmsd,
        COUNT(CASE WHEN metric = 'gmsd' THEN value END) AS gmsd_finite,
        AVG(CASE WHEN metric = 'fsim' THEN value END) AS fsim,
        COUNT(CASE WHEN metric = 'fsim' THEN value END) AS fsim_finite
    FROM scored
    GROUP BY denoiser_id
),
recovery AS (
    SELECT denoiser_id, COUNT(*) AS images, SUM(recovered) AS recovered
    FROM restored
    GROUP BY denoiser_id
)
SELECT
    m.id AS denoiser_id,
    m.architecture AS denoiser,
    v.images,
    v.recovered,
    y.psnr,
    y.psnr_finite,
    y.psnr_infinite,
    h.psnr_median,
    h.psnr_median_infinite,
    y.ssim,
    y.ssim_finite,
    y.mse,
    y.mse_finite,
    y.gmsd,
    y.gmsd_finite,
    y.fsim,
    y.fsim_finite
FROM recovery v
JOIN model m ON m.id = v.denoiser_id
LEFT JOIN summary y ON y.denoiser_id = v.denoiser_id
LEFT JOIN middle h ON h.denoiser_id = v.denoiser_id
ORDER BY m.id
