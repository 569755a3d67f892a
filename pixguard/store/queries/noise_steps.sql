-- Tables 3, 4, 5: the PSNR of one denoiser minus that of another, image by image.
-- Parameters: before_id, after_id (denoisers), noise, level, seed.
-- Images whose PSNR is infinite under one of the two have no difference and are left out. squares
-- is the sum of the squared differences from their mean.
WITH pairs AS (
    SELECT t.value - s.value AS difference
    FROM denoising n
    JOIN denoising o ON o.image_id = n.image_id
    JOIN denoising_score s ON s.denoising_id = n.id
    JOIN denoising_score t ON t.denoising_id = o.id AND t.metric_id = s.metric_id
    JOIN metric k ON k.id = s.metric_id
    WHERE n.denoiser_id = :before_id AND o.denoiser_id = :after_id
      AND n.noise = :noise AND n.level = :level AND n.seed = :seed
      AND o.noise = :noise AND o.level = :level AND o.seed = :seed
      AND s.value_kind = 'finite' AND t.value_kind = 'finite'
      AND k.name = 'psnr'
      AND k.version = (SELECT MAX(v.version) FROM metric v WHERE v.name = k.name)
),
middle AS (
    SELECT AVG(difference) AS mean FROM pairs
)
SELECT
    COUNT(*) AS images,
    MAX(m.mean) AS mean,
    SUM((p.difference - m.mean) * (p.difference - m.mean)) AS squares
FROM pairs p
CROSS JOIN middle m
