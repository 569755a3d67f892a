-- Tables 13 to 16: how well one classifier tells each class on the test split.
-- Parameters: classifier_id, dataset_id.
-- A label set is text such as '0,5'. Between two commas (',0,5,') it holds the class of code 5
-- when it contains ',5,'. The class without a label has the code '' and the text ',,': the same
-- comparison finds it, and nothing else does. Multi-class sets hold exactly one class.
WITH counted AS (
    -- Alike images are counted first: then few texts have to be looked through.
    SELECT i.label_set, p.predicted, COUNT(*) AS images
    FROM prediction p
    JOIN image i ON i.id = p.image_id
    WHERE p.model_id = :classifier_id AND i.dataset_id = :dataset_id AND i.split = 'test'
    GROUP BY i.label_set, p.predicted
),
decided AS (
    SELECT ',' || label_set || ',' AS carried, ',' || predicted || ',' AS predicted, images
    FROM counted
),
judged AS (
    SELECT
        c.ordinal,
        c.name AS class,
        x.images,
        CASE WHEN x.carried LIKE '%,' || c.code || ',%' THEN 1 ELSE 0 END AS is_carried,
        CASE WHEN x.predicted LIKE '%,' || c.code || ',%' THEN 1 ELSE 0 END AS is_predicted
    FROM dataset_class c
    CROSS JOIN decided x
    WHERE c.dataset_id = :dataset_id
)
SELECT
    ordinal,
    class,
    SUM(images * is_carried) AS carried,
    SUM(images * is_predicted) AS predicted,
    SUM(images * is_carried * is_predicted) AS both_agree
FROM judged
GROUP BY ordinal, class
ORDER BY ordinal
