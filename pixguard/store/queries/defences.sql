-- Table defences: what each denoiser and detector does for one classifier, by the number of changed
-- pixels.
-- Parameters: classifier_id, dataset_id (of the attacked images, as in attack_plans.sql).
-- What counts: non-targeted attempts, the first repeat of each, whatever the attack and the seed.
-- Restorations are of attempts on the bare classifier that succeeded. An image counts once as
-- attacked in the face of a defence, as fooled when any such attempt succeeded; and beside that once
-- as fooled bare, when any attempt on the bare classifier with one of the same attacks and seeds did.
-- What a detector breaks is what it flags: clean test images that the classifier gets right.
-- Identical images have an infinite PSNR: counted, and kept out of the mean (its value is NULL).
-- Of a metric with several versions only the newest counts.
WITH tried AS (
    SELECT
        t.id,
        t.attack_id,
        t.seed,
        t.image_id,
        t.success,
        a.pixels,
        COALESCE(t.through_model_id, 0) AS denoiser_id
    FROM sampled_attempts t
    JOIN attack a ON a.id = t.attack_id
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id
      AND t.target IS NULL AND t.repeat = 0
),
restored AS (
    SELECT r.id, t.pixels, r.denoiser_id, r.recovered, r.elapsed_ms
    FROM restoration r
    JOIN tried t ON t.id = r.attempt_id
    WHERE t.denoiser_id = 0 AND t.success = 1 AND r.classifier_id = :classifier_id
),
recovery AS (
    SELECT
        pixels,
        denoiser_id,
        COUNT(*) AS restored,
        SUM(recovered) AS recovered,
        AVG(elapsed_ms) AS elapsed_ms
    FROM restored
    GROUP BY pixels, denoiser_id
),
scored AS (
    SELECT o.pixels, o.denoiser_id, k.name AS metric, s.value, s.value_kind
    -- SQLite joins in this order where it says CROSS; it would look through all scores else.
    FROM restored o
    CROSS JOIN score s
    CROSS JOIN newest_metric k
    WHERE s.restoration_id = o.id AND k.id = s.metric_id AND s.value_kind <> 'nan'
),
quality AS (
    SELECT
        pixels,
        denoiser_id,
        AVG(CASE WHEN metric = 'psnr' THEN value END) AS psnr,
        COUNT(CASE WHEN metric = 'psnr' THEN value END) AS psnr_finite,
        COUNT(CASE WHEN metric = 'psnr' AND value_kind = 'inf' THEN 1 END) AS psnr_infinite,
        AVG(CASE WHEN metric = 'ssim' THEN value END) AS ssim,
        COUNT(CASE WHEN metric = 'ssim' THEN value END) AS ssim_finite,
        AVG(CASE WHEN metric = 'gmsd' THEN value END) AS gmsd,
        COUNT(CASE WHEN metric = 'gmsd' THEN value END) AS gmsd_finite,
        AVG(CASE WHEN metric = 'fsim' THEN value END) AS fsim,
        COUNT(CASE WHEN metric = 'fsim' THEN value END) AS fsim_finite
    FROM scored
    GROUP BY pixels, denoiser_id
),
clean AS (
    SELECT r.denoiser_id, COUNT(*) AS clean_restored, SUM(1 - r.recovered) AS clean_broken
    FROM clean_restorations r
    WHERE r.classifier_id = :classifier_id AND r.dataset_id = :dataset_id
    GROUP BY r.denoiser_id
    UNION ALL
    SELECT n.detector_id, COUNT(*), SUM(n.flagged)
    FROM detection n
    JOIN image i ON i.id = n.image_id
    JOIN prediction said ON said.image_id = i.id AND said.model_id = :classifier_id
    WHERE n.attempt_id IS NULL AND i.split = 'test' AND i.dataset_id = :dataset_id
      AND said.predicted = i.label_set
    GROUP BY n.detector_id
),
through AS (
    SELECT
        d.pixels,
        d.denoiser_id,
        d.image_id,
        MAX(d.success) AS fooled,
        MAX(b.success) AS fooled_bare
    FROM tried d
    LEFT JOIN tried b
        ON b.denoiser_id = 0 AND b.image_id = d.image_id
        AND b.attack_id = d.attack_id AND b.seed = d.seed
    WHERE d.denoiser_id <> 0
    GROUP BY d.pixels, d.denoiser_id, d.image_id
),
adaptive AS (
    SELECT
        pixels,
        denoiser_id,
        COUNT(*) AS adaptive_images,
        SUM(fooled) AS adaptive_fooled,
        COUNT(fooled_bare) AS bare_images,
        SUM(fooled_bare) AS bare_fooled
    FROM through
    GROUP BY pixels, denoiser_id
),
pairs AS (
    SELECT pixels, denoiser_id FROM recovery
    UNION
    SELECT pixels, denoiser_id FROM adaptive
    UNION
    -- Where nothing was fooled a denoiser still shows what it breaks.
    SELECT b.pixels, c.denoiser_id
    FROM clean c
    JOIN model n ON n.id = c.denoiser_id AND n.kind = 'denoiser'
    CROSS JOIN (SELECT DISTINCT pixels FROM tried WHERE denoiser_id = 0) b
)
SELECT
    p.pixels,
    m.id AS denoiser_id,
    CASE WHEN m.kind = 'detector' THEN 'detector ' ELSE '' END || m.architecture AS denoiser,
    m.trainable_parameters + m.frozen_parameters AS parameters,
    v.restored,
    v.recovered,
    v.elapsed_ms,
    y.psnr,
    y.psnr_finite,
    y.psnr_infinite,
    y.ssim,
    y.ssim_finite,
    y.gmsd,
    y.gmsd_finite,
    y.fsim,
    y.fsim_finite,
    c.clean_restored,
    c.clean_broken,
    d.adaptive_images,
    d.adaptive_fooled,
    d.bare_images,
    d.bare_fooled
FROM pairs p
JOIN model m ON m.id = p.denoiser_id
LEFT JOIN recovery v ON v.denoiser_id = m.id AND v.pixels = p.pixels
LEFT JOIN quality y ON y.denoiser_id = m.id AND y.pixels = p.pixels
LEFT JOIN clean c ON c.denoiser_id = m.id
LEFT JOIN adaptive d ON d.denoiser_id = m.id AND d.pixels = p.pixels
ORDER BY
    p.pixels, CASE WHEN m.architecture = 'identity' THEN 0 ELSE 1 END, m.architecture, m.id
