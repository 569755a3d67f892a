-- How many of a dataset's test images a classifier has judged, where it has judged some.
-- Parameters: classifier_id, dataset_id.
SELECT
    (SELECT COUNT(*)
     FROM prediction p
     JOIN image i ON i.id = p.image_id
     WHERE p.model_id = :classifier_id AND i.dataset_id = :dataset_id AND i.split = 'test')
        AS judged,
    (SELECT COALESCE(SUM(c.images), 0)
     FROM dataset_count c
     WHERE c.dataset_id = :dataset_id AND c.split = 'test') AS images
