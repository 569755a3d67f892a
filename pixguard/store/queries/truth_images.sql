-- Table truth: over images, how many are known to be vulnerable or robust.
-- Parameters and what counts: as in truth.sql.
-- searched: seen by a complete exhaustive search or a survey with a verdict.
-- contradicted: that found nothing, and another attempt succeeded. beyond: vulnerable by a success,
-- though never searched in full. rounded: searched in another precision than float32.
WITH tried AS (
    SELECT
        t.image_id,
        t.success,
        t.precision,
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
        c.image_id,
        CASE WHEN REPLACE(c.votes, ' ', '') LIKE '[%,0,0,%]' THEN 0 ELSE 1 END,
        'float32',
        1
    FROM certificate c
    JOIN image i ON i.id = c.image_id
    WHERE c.model_id = :classifier_id AND i.dataset_id = :dataset_id
      AND c.method LIKE 'pixel-survey%' AND :pixels = 1
      AND :success IN ('%', '%"success":"label-set"%')
      AND (REPLACE(c.votes, ' ', '') LIKE '%,0]' OR REPLACE(c.votes, ' ', '') NOT LIKE '[%,0,0,%]')
),
by_image AS (
    SELECT
        image_id,
        MAX(is_complete) AS is_searched,
        MAX(success) AS is_vulnerable,
        MIN(CASE WHEN is_complete = 1 THEN success END) AS search_found,
        MAX(CASE WHEN is_complete = 1 AND precision <> 'float32' THEN 1 ELSE 0 END) AS is_rounded
    FROM tried
    GROUP BY image_id
)
SELECT
    COUNT(*) AS tried,
    COALESCE(SUM(is_searched), 0) AS searched,
    COALESCE(SUM(is_searched * is_vulnerable), 0) AS vulnerable,
    COALESCE(SUM(CASE WHEN search_found = 0 AND is_vulnerable = 1 THEN 1 ELSE 0 END), 0)
        AS contradicted,
    COALESCE(SUM((1 - is_searched) * is_vulnerable), 0) AS beyond,
    COALESCE(SUM(is_rounded), 0) AS rounded
FROM by_image
