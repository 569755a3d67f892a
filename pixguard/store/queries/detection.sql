-- Table detection: how well a detector tells the images of each class from those of its own.
-- Parameters: detector_id, dataset_id, normal (the name of the class that the detector encloses).
-- What counts: clean test images. An image belongs to a class whose code is in its label set, and
-- with several labels to several; an image with the normal class among its labels is normal.
-- A row for each other class, and one without a class for all that is not normal.
-- AUC is the Mann-Whitney statistic over (class x normal) pairs, a tie counting half. found counts
-- the images that no more than 0.1 (1, 5) of 100 normal ones score as high as or higher than.
WITH scored AS (
    SELECT
        i.label_set,
        n.score,
        n.flagged,
        CASE WHEN ',' || i.label_set || ',' LIKE '%,' || c.code || ',%' THEN 1 ELSE 0 END
            AS is_normal
    FROM detection n
    JOIN image i ON i.id = n.image_id
    JOIN dataset_class c ON c.dataset_id = i.dataset_id
    WHERE n.detector_id = :detector_id AND n.attempt_id IS NULL AND i.split = 'test'
      AND c.name = :normal
),
placed AS (
    SELECT
        label_set,
        flagged,
        is_normal,
        -- Images of equal score are peers, so that the sum runs to the last of them.
        SUM(is_normal) OVER (ORDER BY score) AS not_above,
        SUM(is_normal) OVER (PARTITION BY score) AS tied,
        SUM(is_normal) OVER () AS normals,
        SUM(is_normal * flagged) OVER () AS false_alarms
    FROM scored
),
judged AS (
    SELECT
        label_set,
        flagged,
        normals,
        false_alarms,
        not_above - 0.5 * tied AS beaten,
        CASE WHEN 1000 * (normals - not_above + tied) <= normals THEN 1 ELSE 0 END
            AS found_at_0_1,
        CASE WHEN 100 * (normals - not_above + tied) <= normals THEN 1 ELSE 0 END AS found_at_1,
        CASE WHEN 20 * (normals - not_above + tied) <= normals THEN 1 ELSE 0 END AS found_at_5
    FROM placed
    WHERE is_normal = 0
),
grouped AS (
    SELECT c.ordinal, c.name AS class, j.*
    FROM judged j
    JOIN dataset_class c ON ',' || j.label_set || ',' LIKE '%,' || c.code || ',%'
    WHERE c.dataset_id = :dataset_id
    UNION ALL
    SELECT NULL, NULL, j.* FROM judged j
)
SELECT
    ordinal,
    class,
    COUNT(*) AS images,
    SUM(flagged) AS flagged,
    MAX(normals) AS compared,
    MAX(false_alarms) AS compared_flagged,
    SUM(beaten) AS beaten,
    SUM(found_at_0_1) AS found_at_0_1,
    SUM(found_at_1) AS found_at_1,
    SUM(found_at_5) AS found_at_5
FROM grouped
GROUP BY ordinal, class
ORDER BY CASE WHEN class IS NULL THEN 1 ELSE 0 END, ordinal
