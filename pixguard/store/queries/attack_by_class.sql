-- Tables 17, 19, 21, 22, 24, 26, 28, 30, 35, 37, 39, 41: attempts and successes by class.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
-- correct is the number of test images that the classifier gets right, those that can be
-- attacked. Images with several labels belong to no class; they make one row of their own.
WITH attempted AS (
    SELECT i.label_set, COUNT(*) AS attacked, SUM(t.success) AS succeeded
    FROM attempts_that_count t
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
      AND i.dataset_id = :dataset_id
    GROUP BY i.label_set
),
right_ones AS (
    SELECT i.label_set, COUNT(*) AS tested,
        SUM(CASE WHEN p.predicted = i.label_set THEN 1 ELSE 0 END) AS correct
    FROM prediction p
    JOIN image i ON i.id = p.image_id
    WHERE p.model_id = :classifier_id AND i.dataset_id = :dataset_id AND i.split = 'test'
    GROUP BY i.label_set
)
SELECT
    c.ordinal,
    c.name AS class,
    c.disease_type,
    COALESCE(r.correct, 0) AS correct,
    COALESCE(r.tested, 0) AS tested,
    COALESCE(a.attacked, 0) AS attacked,
    COALESCE(a.succeeded, 0) AS succeeded
FROM dataset_class c
LEFT JOIN attempted a ON a.label_set = c.code
LEFT JOIN right_ones r ON r.label_set = c.code
WHERE c.dataset_id = :dataset_id
UNION ALL
SELECT
    (SELECT MAX(c.ordinal) + 1 FROM dataset_class c WHERE c.dataset_id = :dataset_id),
    'several labels',
    NULL,
    0,
    0,
    s.attacked,
    s.succeeded
FROM (
    SELECT SUM(a.attacked) AS attacked, SUM(a.succeeded) AS succeeded
    FROM attempted a
    WHERE a.label_set NOT IN (
        SELECT c.code FROM dataset_class c WHERE c.dataset_id = :dataset_id
    )
) s
WHERE s.attacked > 0
ORDER BY 1
