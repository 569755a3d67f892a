-- Which classifiers were attacked at all, of which successful attempts were restored, and which were
-- attacked through a denoiser; what the tables adaptive, recovery and cost choose from.
SELECT
    m.id AS classifier_id,
    CASE WHEN EXISTS (SELECT 1 FROM attempt t WHERE t.model_id = m.id)
        THEN 1 ELSE 0 END AS is_attacked,
    CASE WHEN EXISTS (
        SELECT 1 FROM restoration r WHERE r.classifier_id = m.id AND r.attempt_id IS NOT NULL
    ) THEN 1 ELSE 0 END AS is_restored,
    CASE WHEN EXISTS (
        SELECT 1
        FROM model d
        CROSS JOIN attempt t
        WHERE d.kind = 'denoiser' AND d.dataset_id = m.dataset_id
          AND t.through_model_id = d.id AND t.model_id = m.id
    ) THEN 1 ELSE 0 END AS is_defended
FROM model m
WHERE m.kind = 'classifier'
ORDER BY m.id
