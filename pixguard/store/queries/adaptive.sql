-- Table adaptive: attacks made through each denoiser, beside attacks on the bare classifier that
-- the denoiser restores afterwards.
-- Parameters: classifier_id, dataset_id.
-- What counts: non-targeted attempts, the first repeat of each; one attack and one seed a row.
-- Every denoiser has a row for each run of differential evolution on the bare classifier, and for
-- whatever else was run through it or restored by it; without any, one row without an attack.
WITH tried AS (
    SELECT
        t.attack_id,
        t.seed,
        COALESCE(t.through_model_id, 0) AS denoiser_id,
        t.image_id,
        t.success,
        t.queries,
        ROW_NUMBER() OVER (
            PARTITION BY t.attack_id, t.seed, COALESCE(t.through_model_id, 0) ORDER BY t.queries
        ) AS place,
        COUNT(*) OVER (
            PARTITION BY t.attack_id, t.seed, COALESCE(t.through_model_id, 0)
        ) AS places
    FROM sampled_attempts t
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id
      AND t.target IS NULL AND t.repeat = 0
),
summary AS (
    SELECT
        attack_id,
        seed,
        denoiser_id,
        COUNT(*) AS images,
        SUM(success) AS succeeded,
        -- The middle value, or the middle two of an even number.
        AVG(CASE WHEN 2 * place BETWEEN places AND places + 2 THEN queries END) AS median_queries
    FROM tried
    GROUP BY attack_id, seed, denoiser_id
),
shared AS (
    SELECT d.attack_id, d.seed, d.denoiser_id, COUNT(*) AS images
    FROM tried d
    JOIN tried b ON b.attack_id = d.attack_id AND b.seed = d.seed AND b.image_id = d.image_id
    WHERE d.denoiser_id <> 0 AND b.denoiser_id = 0
    GROUP BY d.attack_id, d.seed, d.denoiser_id
),
transfer AS (
    SELECT
        t.attack_id,
        t.seed,
        r.denoiser_id,
        COUNT(*) AS restored,
        SUM(r.recovered) AS recovered
    FROM restoration r
    JOIN attempts_that_count t ON t.id = r.attempt_id
    JOIN image i ON i.id = t.image_id
    WHERE t.success = 1 AND t.model_id = :classifier_id AND r.classifier_id = :classifier_id
      AND i.dataset_id = :dataset_id
    GROUP BY t.attack_id, t.seed, r.denoiser_id
),
clean AS (
    -- What the classifier got wrong before cannot be broken.
    SELECT r.denoiser_id, COUNT(*) AS restored, SUM(1 - r.recovered) AS broken
    FROM clean_restorations r
    WHERE r.classifier_id = :classifier_id AND r.dataset_id = :dataset_id
    GROUP BY r.denoiser_id
),
pairs AS (
    SELECT attack_id, seed, denoiser_id FROM transfer
    UNION
    SELECT attack_id, seed, denoiser_id FROM summary WHERE denoiser_id <> 0
    UNION
    SELECT b.attack_id, b.seed, m.id
    FROM summary b
    JOIN attack a ON a.id = b.attack_id
    CROSS JOIN model m
    WHERE b.denoiser_id = 0 AND a.name = 'differential-evolution'
      AND m.kind = 'denoiser' AND m.dataset_id = :dataset_id
)
SELECT
    m.id AS denoiser_id,
    m.architecture AS denoiser,
    a.name AS attack,
    a.pixels,
    a.parameters,
    p.seed,
    c.restored AS clean_restored,
    c.broken AS clean_broken,
    r.restored,
    r.recovered,
    d.images AS adaptive_images,
    d.succeeded AS adaptive_succeeded,
    d.median_queries AS adaptive_median_queries,
    b.images AS bare_images,
    b.succeeded AS bare_succeeded,
    b.median_queries AS bare_median_queries,
    s.images AS shared
FROM model m
LEFT JOIN pairs p ON p.denoiser_id = m.id
LEFT JOIN attack a ON a.id = p.attack_id
LEFT JOIN clean c ON c.denoiser_id = m.id
LEFT JOIN transfer r
    ON r.attack_id = p.attack_id AND r.seed = p.seed AND r.denoiser_id = m.id
LEFT JOIN summary d
    ON d.attack_id = p.attack_id AND d.seed = p.seed AND d.denoiser_id = m.id
LEFT JOIN summary b
    ON b.attack_id = p.attack_id AND b.seed = p.seed AND b.denoiser_id = 0
LEFT JOIN shared s
    ON s.attack_id = p.attack_id AND s.seed = p.seed AND s.denoiser_id = m.id
WHERE m.kind = 'denoiser' AND (m.dataset_id = :dataset_id OR p.attack_id IS NOT NULL)
ORDER BY m.architecture, m.id, a.name, a.pixels, a.id, p.seed
