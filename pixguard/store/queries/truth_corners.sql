-- Table truth, with two pixels: images of which every pair of extreme values was tried or ruled
-- out, and how many of them any attack has fooled.
-- Parameters: classifier_id, dataset_id, pixels, success (a pattern of an attack's parameters).
-- fooled: by such a search; beyond: by another attack with as many pixels alone, at other values.
WITH tried AS (
    SELECT
        t.image_id,
        t.success,
        CASE
            WHEN a.name = 'exhaustive'
                AND REPLACE(a.parameters, ' ', '') LIKE '%"space":"corners"%'
            THEN 1 ELSE 0
        END AS is_corners
    FROM attempts_that_count t
    JOIN attack a ON a.id = t.attack_id
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id AND a.pixels = :pixels
      AND REPLACE(a.parameters, ' ', '') LIKE :success
),
by_image AS (
    SELECT
        image_id,
        MAX(is_corners) AS is_searched,
        MAX(is_corners * success) AS is_fooled,
        MAX(success) AS is_vulnerable
    FROM tried
    GROUP BY image_id
)
SELECT
    COALESCE(SUM(is_searched), 0) AS searched,
    COALESCE(SUM(is_fooled), 0) AS fooled,
    COALESCE(SUM(is_searched * is_vulnerable * (1 - is_fooled)), 0) AS beyond
FROM by_image
