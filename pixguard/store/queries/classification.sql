-- Tables 12, 34 and accuracy: accuracy of one classifier.
-- Parameters: classifier_id, dataset_id.
-- An image of the test split is correct when the predicted label set is its own, exactly.
-- beaten and pairs tell the AUC of two classes: the Mann-Whitney statistic of the probability of the
-- second, over (second x first) pairs, a tie counting half. pairs is NULL for other datasets, since
-- of each image only the probability of its decision is kept.
WITH judged AS (
    SELECT
        CASE WHEN p.predicted = i.label_set THEN 1 ELSE 0 END AS is_right,
        CASE WHEN i.label_set = '1' THEN 1 ELSE 0 END AS is_second,
        CASE WHEN p.predicted = '1' THEN p.confidence ELSE 1 - p.confidence END AS score
    FROM prediction p
    JOIN image i ON i.id = p.image_id
    WHERE p.model_id = :classifier_id AND i.dataset_id = :dataset_id AND i.split = 'test'
),
placed AS (
    SELECT
        is_right,
        is_second,
        -- Images of equal score are peers, so that the sum runs to the last of them.
        SUM(1 - is_second) OVER (ORDER BY score)
            - 0.5 * SUM(1 - is_second) OVER (PARTITION BY score) AS not_above
    FROM judged
),
counted AS (
    SELECT
        COUNT(*) AS test_images,
        COALESCE(SUM(is_right), 0) AS correct,
        COALESCE(SUM(is_second * not_above), 0) AS beaten,
        COALESCE(SUM(is_second) * SUM(1 - is_second), 0) AS pairs
    FROM placed
)
SELECT
    m.train_accuracy,
    m.hyperparameters,
    c.test_images,
    c.correct,
    c.beaten,
    CASE WHEN d.task = 'multi-class' AND (
        SELECT COUNT(*) FROM dataset_class k WHERE k.dataset_id = d.id
    ) = 2 THEN c.pairs END AS pairs
FROM model m
CROSS JOIN counted c
JOIN dataset d ON d.id = :dataset_id
WHERE m.id = :classifier_id
