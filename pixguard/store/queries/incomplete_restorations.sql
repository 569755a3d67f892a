-- Attacks of which a denoiser has restored some of the fooling images, but not all, or of whose
-- restorations some are scored, but not all.
-- Parameters: classifier_id, dataset_id (of the attacked images, as in attack_plans.sql).
WITH fooled AS (
    SELECT t.attack_id, t.seed, COUNT(*) AS images
    FROM attempts_that_count t
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND t.success = 1 AND i.dataset_id = :dataset_id
    GROUP BY t.attack_id, t.seed
),
restored AS (
    SELECT
        t.attack_id,
        t.seed,
        r.denoiser_id,
        COUNT(*) AS images,
        SUM(CASE WHEN EXISTS (SELECT 1 FROM score s WHERE s.restoration_id = r.id)
            THEN 1 ELSE 0 END) AS scored
    FROM restoration r
    JOIN attempts_that_count t ON t.id = r.attempt_id
    JOIN image i ON i.id = t.image_id
    WHERE r.classifier_id = :classifier_id AND t.model_id = :classifier_id AND t.success = 1
      AND i.dataset_id = :dataset_id
    GROUP BY t.attack_id, t.seed, r.denoiser_id
)
SELECT
    a.id AS attack_id,
    a.name AS attack,
    a.pixels,
    f.seed,
    m.id AS denoiser_id,
    m.architecture AS denoiser,
    f.images AS fooled,
    r.images AS restored,
    r.scored
FROM fooled f
JOIN restored r ON r.attack_id = f.attack_id AND r.seed = f.seed
JOIN attack a ON a.id = f.attack_id
JOIN model m ON m.id = r.denoiser_id
WHERE r.images < f.images OR (r.scored > 0 AND r.scored < r.images)
ORDER BY a.id, f.seed, m.id
