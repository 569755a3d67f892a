-- Tables 7 to 10: how many images of a dataset are of each class, all splits together.
-- Parameter: dataset_id.
-- An image counts for the class that it carries alone; images with several labels make one row of
-- their own.
WITH counted AS (
    SELECT n.label_set, SUM(n.images) AS images
    FROM dataset_count n
    WHERE n.dataset_id = :dataset_id
    GROUP BY n.label_set
)
SELECT c.ordinal, c.name AS class, c.disease_type, COALESCE(n.images, 0) AS images
FROM dataset_class c
LEFT JOIN counted n ON n.label_set = c.code
WHERE c.dataset_id = :dataset_id
UNION ALL
SELECT
    (SELECT MAX(c.ordinal) + 1 FROM dataset_class c WHERE c.dataset_id = :dataset_id),
    'several labels',
    NULL,
    s.images
FROM (
    SELECT SUM(n.images) AS images
    FROM counted n
    WHERE n.label_set NOT IN (
        SELECT c.code FROM dataset_class c WHERE c.dataset_id = :dataset_id
    )
) s
WHERE s.images > 0
ORDER BY 1
