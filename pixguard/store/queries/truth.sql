-- Table truth: what each attack finds of the images that its number of pixels can fool.
-- Parameters: classifier_id, dataset_id, pixels, success (a pattern that an attack's parameters
-- match, because several definitions of success can stand in one database).
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
-- An image is known when a complete exhaustive search (all values of every pixel) saw it, or a
-- survey of all its pixels that found a flip or left none open; and vulnerable when that survey or
-- any attempt on it succeeded. Figures are over the known images that an attack was tried on; with
-- none, over all that it was tried on, and then vulnerable is a lower bound (is_truth is 0). refuted
-- counts successes on images that were called robust.
WITH tried AS (
    SELECT
        t.attack_id,
        t.seed,
        t.image_id,
        t.success,
        t.queries,
        t.distinct_queries,
        t.elapsed_ms,
        CASE
            WHEN a.name = 'exhaustive'
                AND REPLACE(a.parameters, ' ', '') LIKE '%"space":"all-values"%'
            THEN 1 ELSE 0
        END AS is_complete
    FROM attempts_that_count t
    JOIN attack a ON a.id = t.attack_id
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id AND a.pixels = :pixels
      AND REPLACE(a.parameters, ' ', '') LIKE :success
    UNION ALL
    -- votes: a JSON list, how many pixels are proven, fooled at an extreme, only between, and open.
    SELECT
        NULL,
        NULL,
        c.image_id,
        CASE WHEN REPLACE(c.votes, ' ', '') LIKE '[%,0,0,%]' THEN 0 ELSE 1 END,
        NULL,
        NULL,
        NULL,
        1
    FROM certificate c
    JOIN image i ON i.id = c.image_id
    WHERE c.model_id = :classifier_id AND i.dataset_id = :dataset_id
      AND c.method LIKE 'pixel-survey%' AND :pixels = 1
      AND :success IN ('%', '%"success":"label-set"%')
      AND (REPLACE(c.votes, ' ', '') LIKE '%,0]' OR REPLACE(c.votes, ' ', '') NOT LIKE '[%,0,0,%]')
),
judged AS (
    -- By window, not by a join of the images to themselves, for which SQLite makes no index.
    SELECT
        attack_id,
        seed,
        success,
        queries,
        distinct_queries,
        elapsed_ms,
        is_complete,
        MAX(is_complete) OVER (PARTITION BY image_id) AS is_known,
        MAX(success) OVER (PARTITION BY image_id) AS is_vulnerable,
        1 - MIN(CASE WHEN is_complete = 1 THEN success END) OVER (PARTITION BY image_id)
            AS is_called_robust
    FROM tried
),
compared AS (
    SELECT
        j.*,
        MAX(is_known) OVER (PARTITION BY attack_id, seed) AS is_truth,
        ROW_NUMBER() OVER (PARTITION BY attack_id, seed, is_known ORDER BY queries) AS place,
        COUNT(*) OVER (PARTITION BY attack_id, seed, is_known) AS places,
        ROW_NUMBER() OVER (
            PARTITION BY attack_id, seed, is_known, success ORDER BY queries
        ) AS like_place,
        COUNT(*) OVER (PARTITION BY attack_id, seed, is_known, success) AS like_places
    FROM judged j
)
SELECT
    a.id AS attack_id,
    a.name AS attack,
    a.version AS attack_version,
    a.pixels,
    a.parameters,
    c.seed,
    MAX(c.is_complete) AS is_complete,
    MAX(c.is_truth) AS is_truth,
    COUNT(*) AS images,
    SUM(c.is_vulnerable) AS vulnerable,
    SUM(c.success) AS found,
    SUM(CASE WHEN c.success = 1 AND c.queries <= 10 THEN 1 ELSE 0 END) AS found_10,
    SUM(CASE WHEN c.success = 1 AND c.queries <= 100 THEN 1 ELSE 0 END) AS found_100,
    SUM(CASE WHEN c.success = 1 AND c.queries <= 1000 THEN 1 ELSE 0 END) AS found_1000,
    SUM(CASE WHEN c.success = 1 AND c.queries <= 10000 THEN 1 ELSE 0 END) AS found_10000,
    COALESCE(SUM(c.is_called_robust * c.success), 0) AS refuted,
    -- The middle value, or the middle two of an even number.
    AVG(CASE WHEN c.success = 1
        AND 2 * c.like_place BETWEEN c.like_places AND c.like_places + 2 THEN c.queries END)
        AS median_queries_found,
    AVG(CASE WHEN 2 * c.place BETWEEN c.places AND c.places + 2 THEN c.queries END)
        AS median_queries,
    AVG(c.distinct_queries) AS mean_distinct,
    COUNT(c.distinct_queries) AS distinct_counted,
    AVG(c.elapsed_ms) AS mean_elapsed_ms
FROM compared c
JOIN attack a ON a.id = c.attack_id
WHERE c.is_known = c.is_truth
GROUP BY a.id, a.name, a.version, a.pixels, a.parameters, c.seed
ORDER BY MAX(c.is_complete) DESC, a.name, a.version, a.id, c.seed
