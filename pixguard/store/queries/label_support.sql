-- Tables labels and label-sets: the judged test images by label set, true and decided.
-- Parameters: classifier_id, dataset_id.
SELECT i.label_set, p.predicted, COUNT(*) AS images
FROM prediction p
JOIN image i ON i.id = p.image_id
WHERE p.model_id = :classifier_id AND i.dataset_id = :dataset_id AND i.split = 'test'
GROUP BY i.label_set, p.predicted
ORDER BY i.label_set, p.predicted
