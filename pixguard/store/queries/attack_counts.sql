-- Which classifiers were attacked at all, and which of them behind or before a denoiser; what the
-- tables adaptive and cost choose from. defended counts attempts through a denoiser, and
-- successful attempts that one restored.
SELECT
    m.id AS classifier_id,
    (SELECT COUNT(*) FROM attempt t WHERE t.model_id = m.id) AS attempts,
    (SELECT COUNT(*) FROM attempt t
        WHERE t.model_id = m.id AND t.through_model_id IS NOT NULL)
    + (SELECT COUNT(*) FROM restoration r
        WHERE r.classifier_id = m.id AND r.attempt_id IS NOT NULL) AS defended
FROM model m
WHERE m.kind = 'classifier'
ORDER BY m.id
