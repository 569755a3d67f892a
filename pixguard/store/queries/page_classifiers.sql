-- Every classifier with its accuracy on test images, and how often it was attacked.
SELECT
    m.id AS id,
    m.architecture AS architecture,
    d.name AS dataset,
    d.source AS source,
    d.size AS size,
    m.epochs AS epochs,
    COALESCE(p.judged, 0) AS judged,
    COALESCE(p.right_count, 0) AS right_count,
    COALESCE(a.attempts, 0) AS attempts
FROM model m
JOIN dataset d ON d.id = m.dataset_id
LEFT JOIN (
    SELECT
        p.model_id AS model_id,
        COUNT(*) AS judged,
        SUM(CASE WHEN p.predicted = i.label_set THEN 1 ELSE 0 END) AS right_count
    FROM prediction p
    JOIN image i ON i.id = p.image_id
    WHERE i.split = 'test'
    GROUP BY p.model_id
) p ON p.model_id = m.id
LEFT JOIN (
    SELECT model_id, COUNT(*) AS attempts
    FROM attempt
    GROUP BY model_id
) a ON a.model_id = m.id
WHERE m.kind = 'classifier'
ORDER BY m.id
