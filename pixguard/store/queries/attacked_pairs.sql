-- Which classifiers were attacked at all, on the images of which dataset, and for which of these
-- pairs successful attempts were restored, or attempts made through a denoiser; what the tables
-- adaptive, recovery and cost choose from.
-- The dataset is that of the attacked images, as in attack_plans.sql.
WITH tried AS (
    SELECT
        m.id AS model_id,
        (SELECT t.image_id FROM attempt t WHERE t.model_id = m.id AND t.attack_id = a.id LIMIT 1)
            AS image_id
    FROM model m
    CROSS JOIN attack a
    WHERE m.kind = 'classifier'
),
pairs AS (
    SELECT DISTINCT t.model_id, i.dataset_id FROM tried t JOIN image i ON i.id = t.image_id
)
SELECT
    p.model_id AS classifier_id,
    p.dataset_id,
    CASE WHEN EXISTS (
        SELECT 1
        FROM restoration r
        JOIN image i ON i.id = r.image_id
        WHERE r.classifier_id = p.model_id AND r.attempt_id IS NOT NULL
          AND i.dataset_id = p.dataset_id
    ) THEN 1 ELSE 0 END AS is_restored,
    CASE WHEN EXISTS (
        SELECT 1
        FROM model d
        CROSS JOIN attempt t
        CROSS JOIN image i
        WHERE d.kind = 'denoiser' AND d.dataset_id IN (m.dataset_id, p.dataset_id)
          AND t.through_model_id = d.id AND t.model_id = p.model_id
          AND i.id = t.image_id AND i.dataset_id = p.dataset_id
    ) THEN 1 ELSE 0 END AS is_defended
FROM pairs p
JOIN model m ON m.id = p.model_id
ORDER BY p.model_id, p.dataset_id
