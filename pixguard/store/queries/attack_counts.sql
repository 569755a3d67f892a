-- Which classifiers were attacked at all, on the images of which dataset, and which of them behind
-- or before a denoiser; what the tables adaptive and cost choose from. defended counts attempts
-- through a denoiser, and restorations of attempts.
-- The dataset is that of the attacked images, as in attack_plans.sql.
WITH tried AS (
    SELECT
        t.model_id,
        t.attack_id,
        COUNT(*) AS attempts,
        COUNT(t.through_model_id) AS through,
        MIN(t.image_id) AS image_id
    FROM attempt t
    GROUP BY t.model_id, t.attack_id
),
restored AS (
    SELECT t.model_id, t.attack_id, COUNT(*) AS restorations
    FROM restoration r
    JOIN attempt t ON t.id = r.attempt_id
    GROUP BY t.model_id, t.attack_id
)
SELECT
    t.model_id AS classifier_id,
    i.dataset_id,
    SUM(t.attempts) AS attempts,
    SUM(t.through + COALESCE(r.restorations, 0)) AS defended
FROM tried t
JOIN image i ON i.id = t.image_id
LEFT JOIN restored r ON r.model_id = t.model_id AND r.attack_id = t.attack_id
GROUP BY t.model_id, i.dataset_id
ORDER BY t.model_id, i.dataset_id
