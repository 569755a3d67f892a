-- Tables 3, 4, 5: what one denoiser makes of noisy test images.
-- Parameters: denoiser_id, reference_id, noise, level, seed. Only images count that the denoiser
-- reference_id restored from the same noise, too.
-- An infinite PSNR is counted, kept out of the mean (its value is NULL) and sorted last for the
-- median, which is infinite when a middle value is. NaN is left out.
-- Of a metric with several versions only the newest counts.
WITH restored AS (
    SELECT n.id, n.image_id
    FROM denoising n
    JOIN denoising o ON o.image_id = n.image_id
    WHERE n.denoiser_id = :denoiser_id AND o.denoiser_id = :reference_id
      AND n.noise = :noise AND n.level = :level AND n.seed = :seed
      AND o.noise = :noise AND o.level = :level AND o.seed = :seed
),
scored AS (
    SELECT
        k.name AS metric,
        s.value,
        s.value_kind,
        ROW_NUMBER() OVER (
            PARTITION BY k.name
            ORDER BY CASE WHEN s.value_kind = 'finite' THEN 0 ELSE 1 END, s.value
        ) AS place,
        COUNT(*) OVER (PARTITION BY k.name) AS places
    FROM restored r
    JOIN denoising_score s ON s.denoising_id = r.id
    JOIN metric k ON k.id = s.metric_id
    WHERE s.value_kind <> 'nan'
      AND k.version = (SELECT MAX(v.version) FROM metric v WHERE v.name = k.name)
),
placed AS (
    -- The middle value, or the middle two of an even number.
    SELECT
        metric, value, value_kind,
        CASE WHEN 2 * place BETWEEN places AND places + 2 THEN 1 ELSE 0 END AS is_middle
    FROM scored
)
SELECT
    (SELECT COUNT(*) FROM restored) AS images,
    AVG(CASE WHEN metric = 'psnr' THEN value END) AS psnr,
    COUNT(CASE WHEN metric = 'psnr' THEN value END) AS psnr_finite,
    COUNT(CASE WHEN metric = 'psnr' AND value_kind = 'inf' THEN 1 END) AS psnr_infinite,
    AVG(CASE WHEN metric = 'psnr' AND is_middle = 1 THEN value END) AS psnr_median,
    COUNT(CASE WHEN metric = 'psnr' AND is_middle = 1 AND value_kind = 'inf' THEN 1 END)
        AS psnr_median_infinite,
    AVG(CASE WHEN metric = 'ssim' THEN value END) AS ssim,
    COUNT(CASE WHEN metric = 'ssim' THEN value END) AS ssim_finite,
    AVG(CASE WHEN metric = 'mse' THEN value END) AS mse,
    COUNT(CASE WHEN metric = 'mse' THEN value END) AS mse_finite,
    AVG(CASE WHEN metric = 'gmsd' THEN value END) AS gmsd,
    COUNT(CASE WHEN metric = 'gmsd' THEN value END) AS gmsd_finite,
    AVG(CASE WHEN metric = 'fsim' THEN value END) AS fsim,
    COUNT(CASE WHEN metric = 'fsim' THEN value END) AS fsim_finite
FROM placed
