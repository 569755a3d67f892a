-- Table attacks: what each attack on one classifier did on the images that all of them tried.
-- Parameters: classifier_id, dataset_id (of the attacked images, as in attack_plans.sql), pixels,
-- success (a pattern that an attack's parameters match, as in truth.sql).
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each; one attack
-- and one seed a row. tried counts all its images, images those that every other row has, too, and
-- anywhere those of all rows together.
WITH tried AS (
    SELECT t.attack_id, t.seed, t.image_id, t.success, t.queries, t.elapsed_ms
    FROM attempts_that_count t
    JOIN attack a ON a.id = t.attack_id
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id AND a.pixels = :pixels
      AND REPLACE(a.parameters, ' ', '') LIKE :success
),
shared AS (
    -- One attack with one seed has one attempt an image, so that counting tells who has it.
    SELECT
        x.*,
        CASE WHEN COUNT(*) OVER (PARTITION BY x.image_id) = (
            SELECT COUNT(*) FROM (SELECT DISTINCT r.attack_id, r.seed FROM tried r) d
        ) THEN 1 ELSE 0 END AS is_shared
    FROM tried x
),
placed AS (
    SELECT
        s.*,
        ROW_NUMBER() OVER (PARTITION BY attack_id, seed, is_shared ORDER BY queries) AS place,
        COUNT(*) OVER (PARTITION BY attack_id, seed, is_shared) AS places,
        ROW_NUMBER() OVER (
            PARTITION BY attack_id, seed, is_shared, success ORDER BY queries
        ) AS like_place,
        COUNT(*) OVER (PARTITION BY attack_id, seed, is_shared, success) AS like_places
    FROM shared s
)
SELECT
    a.id AS attack_id,
    a.name AS attack,
    a.parameters,
    p.seed,
    (SELECT COUNT(DISTINCT r.image_id) FROM tried r) AS anywhere,
    COUNT(*) AS tried,
    SUM(p.is_shared) AS images,
    SUM(p.is_shared * p.success) AS successes,
    -- The middle value, or the middle two of an even number.
    AVG(CASE WHEN p.is_shared = 1 AND p.success = 1
        AND 2 * p.like_place BETWEEN p.like_places AND p.like_places + 2 THEN p.queries END)
        AS median_queries_found,
    AVG(CASE WHEN p.is_shared = 1 AND p.success = 1 THEN p.queries END) AS mean_queries_found,
    AVG(CASE WHEN p.is_shared = 1
        AND 2 * p.place BETWEEN p.places AND p.places + 2 THEN p.queries END) AS median_queries,
    AVG(CASE WHEN p.is_shared = 1 THEN p.queries END) AS mean_queries,
    AVG(CASE WHEN p.is_shared = 1 THEN p.elapsed_ms END) AS mean_elapsed_ms
FROM placed p
JOIN attack a ON a.id = p.attack_id
GROUP BY a.id, a.name, a.parameters, p.seed
ORDER BY SUM(p.is_shared * p.success) DESC, AVG(p.queries), a.name, a.id, p.seed
