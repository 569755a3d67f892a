-- Which classifiers were attacked at all, and which of them behind or before a denoiser; what the
-- tables adaptive, recovery and cost choose from. restored counts restorations of successful
-- attempts, defended these and attempts through a denoiser.
SELECT
    m.id AS classifier_id,
    (SELECT COUNT(*) FROM attempt t WHERE t.model_id = m.id) AS attempts,
    (SELECT COUNT(*) FROM restoration r
        WHERE r.classifier_id = m.id AND r.attempt_id IS NOT NULL) AS restored,
    (SELECT COUNT(*) FROM attempt t
        WHERE t.model_id = m.id AND t.through_model_id IS NOT NULL)
    + (SELECT COUNT(*) FROM restoration r
        WHERE r.classifier_id = m.id AND r.attempt_id IS NOT NULL) AS defended
FROM model m
WHERE m.kind = 'classifier'
ORDER BY m.id
