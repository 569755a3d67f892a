-- Table attacks: image by image, each attack beside the one that it is compared with.
-- Parameters: classifier_id, dataset_id, pixels, success, as in attacks.sql; attack_id and seed of
-- the attack to compare with.
-- What counts: as in attacks.sql, on the images that all attacks tried.
WITH tried AS (
    SELECT t.attack_id, t.seed, t.image_id, t.success
    FROM attempts_that_count t
    JOIN attack a ON a.id = t.attack_id
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id AND a.pixels = :pixels
      AND REPLACE(a.parameters, ' ', '') LIKE :success
),
compared AS (
    SELECT
        x.attack_id,
        x.seed,
        x.success,
        COUNT(*) OVER (PARTITION BY x.image_id) AS runs,
        MAX(CASE WHEN x.attack_id = :attack_id AND x.seed = :seed THEN x.success END)
            OVER (PARTITION BY x.image_id) AS other
    FROM tried x
)
SELECT
    c.attack_id,
    c.seed,
    SUM(CASE WHEN c.success = 1 AND c.other = 0 THEN 1 ELSE 0 END) AS only_this,
    SUM(CASE WHEN c.success = 0 AND c.other = 1 THEN 1 ELSE 0 END) AS only_other
FROM compared c
WHERE c.runs = (SELECT COUNT(*) FROM (SELECT DISTINCT r.attack_id, r.seed FROM tried r) d)
GROUP BY c.attack_id, c.seed
ORDER BY c.attack_id, c.seed
