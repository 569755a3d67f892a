-- Figure certified-accuracy: how many test images a classifier is certain of up to how many changed
-- pixels, and how many of these decisions are right.
-- Parameters: classifier_id.
SELECT
    c.method,
    c.radius,
    COUNT(*) AS images,
    SUM(CASE WHEN c.predicted = i.label_set THEN 1 ELSE 0 END) AS correct
FROM certificate c
JOIN image i ON i.id = c.image_id
WHERE c.model_id = :classifier_id AND i.split = 'test' AND c.method NOT LIKE 'pixel-%'
GROUP BY c.method, c.radius
ORDER BY c.method, c.radius
