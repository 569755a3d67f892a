-- Table recovery: of the images that each attack fooled one classifier on, how many get their right
-- label back from each denoiser, and how many clean images that denoiser breaks.
-- Parameters: classifier_id, dataset_id (of the attacked images, as in attack_plans.sql).
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each; clean test
-- images that the classifier gets right, where their restorations are stored.
WITH fooled AS (
    SELECT t.attack_id, t.seed, COUNT(*) AS images, MIN(t.image_id) AS image_id
    FROM attempts_that_count t
    WHERE t.model_id = :classifier_id AND t.success = 1
    GROUP BY t.attack_id, t.seed
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
    WHERE r.classifier_id = :classifier_id AND t.model_id = :classifier_id AND t.success = 1
    GROUP BY t.attack_id, t.seed, r.denoiser_id
),
clean AS (
    SELECT r.denoiser_id, COUNT(*) AS restored, SUM(1 - r.recovered) AS broken
    FROM clean_restorations r
    WHERE r.classifier_id = :classifier_id AND r.dataset_id = :dataset_id
    GROUP BY r.denoiser_id
)
SELECT
    a.name AS attack,
    a.parameters,
    a.pixels,
    s.seed,
    m.id AS denoiser_id,
    m.architecture AS denoiser,
    f.images AS fooled,
    s.restored,
    s.recovered,
    c.restored AS clean_restored,
    c.broken AS clean_broken
FROM transfer s
JOIN fooled f ON f.attack_id = s.attack_id AND f.seed = s.seed
JOIN image i ON i.id = f.image_id
JOIN attack a ON a.id = s.attack_id
JOIN model m ON m.id = s.denoiser_id
LEFT JOIN clean c ON c.denoiser_id = s.denoiser_id
WHERE i.dataset_id = :dataset_id
ORDER BY a.pixels, a.name, a.id, s.seed, m.architecture, m.id
