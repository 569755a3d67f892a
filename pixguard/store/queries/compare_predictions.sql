-- Which test images a classifier is right about, to be compared with another one.
-- Parameter: model_id.
SELECT
    p.image_id,
    NULL AS part,
    i.dataset_id,
    i.dataset_index,
    i.label_set,
    CASE WHEN p.predicted = i.label_set THEN 1 ELSE 0 END AS outcome,
    p.predicted
FROM prediction p
JOIN image i ON i.id = p.image_id
WHERE p.model_id = :model_id AND i.split = 'test'
ORDER BY p.image_id
