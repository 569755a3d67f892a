-- Tables 12 and 34: accuracy of one classifier.
-- Parameters: classifier_id, dataset_id.
-- An image of the test split is correct when the predicted label set is its own, exactly.
SELECT
    m.train_accuracy,
    m.hyperparameters,
    COUNT(i.id) AS test_images,
    COALESCE(SUM(CASE WHEN p.predicted = i.label_set THEN 1 ELSE 0 END), 0) AS correct
FROM model m
LEFT JOIN prediction p ON p.model_id = m.id
LEFT JOIN image i
    ON i.id = p.image_id AND i.dataset_id = :dataset_id AND i.split = 'test'
WHERE m.id = :classifier_id
GROUP BY m.id, m.train_accuracy, m.hyperparameters
