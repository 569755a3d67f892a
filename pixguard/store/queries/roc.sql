-- Figure roc: how many clean test images of the normal class, and of the others, a detector gave
-- each score; an image with the normal class among its labels is normal.
-- Parameters: detector_id, normal (the name of the class that the detector encloses).
SELECT
    n.score,
    MAX(n.flagged) AS flagged,
    SUM(CASE WHEN ',' || i.label_set || ',' LIKE '%,' || c.code || ',%' THEN 0 ELSE 1 END)
        AS to_find,
    SUM(CASE WHEN ',' || i.label_set || ',' LIKE '%,' || c.code || ',%' THEN 1 ELSE 0 END)
        AS compared
FROM detection n
JOIN image i ON i.id = n.image_id
JOIN dataset_class c ON c.dataset_id = i.dataset_id
WHERE n.detector_id = :detector_id AND n.attempt_id IS NULL AND i.split = 'test'
  AND c.name = :normal
GROUP BY n.score
ORDER BY n.score DESC
