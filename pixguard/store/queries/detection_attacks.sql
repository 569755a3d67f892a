-- Table detection: how well a detector tells attacked images from the clean ones that they were.
-- Parameters: detector_id.
-- What counts: successful non-targeted attempts on the bare classifier, the first repeat of each,
-- on test images that the detector scored both attacked and clean. A row for each classifier,
-- attack and seed; settings: of its plan, where one was stored. The figures are those of detection.sql, clean images in the place of normal.
WITH pairs AS (
    SELECT
        t.model_id,
        t.attack_id,
        t.seed,
        n.score,
        n.flagged,
        c.score AS clean_score,
        c.flagged AS clean_flagged
    FROM detection n
    JOIN attempts_that_count t ON t.id = n.attempt_id
    JOIN image i ON i.id = n.image_id
    JOIN detection c
        ON c.detector_id = n.detector_id AND c.image_id = n.image_id AND c.attempt_id IS NULL
    WHERE n.detector_id = :detector_id AND i.split = 'test' AND t.success = 1
),
scored AS (
    SELECT model_id, attack_id, seed, score, flagged, 0 AS is_clean FROM pairs
    UNION ALL
    SELECT model_id, attack_id, seed, clean_score, clean_flagged, 1 FROM pairs
),
placed AS (
    SELECT
        model_id,
        attack_id,
        seed,
        flagged,
        is_clean,
        SUM(is_clean) OVER (PARTITION BY model_id, attack_id, seed ORDER BY score) AS not_above,
        SUM(is_clean) OVER (PARTITION BY model_id, attack_id, seed, score) AS tied,
        SUM(is_clean) OVER (PARTITION BY model_id, attack_id, seed) AS cleans,
        SUM(is_clean * flagged) OVER (PARTITION BY model_id, attack_id, seed) AS cleans_flagged
    FROM scored
)
SELECT
    a.id AS attack_id,
    a.name AS attack,
    a.pixels,
    a.parameters,
    p.seed,
    m.id AS classifier_id,
    m.architecture AS classifier,
    COUNT(*) AS images,
    SUM(p.flagged) AS flagged,
    MAX(p.cleans) AS compared,
    MAX(p.cleans_flagged) AS compared_flagged,
    SUM(p.not_above - 0.5 * p.tied) AS beaten,
    SUM(CASE WHEN 1000 * (p.cleans - p.not_above + p.tied) <= p.cleans THEN 1 ELSE 0 END)
        AS found_at_0_1,
    SUM(CASE WHEN 100 * (p.cleans - p.not_above + p.tied) <= p.cleans THEN 1 ELSE 0 END)
        AS found_at_1,
    SUM(CASE WHEN 20 * (p.cleans - p.not_above + p.tied) <= p.cleans THEN 1 ELSE 0 END)
        AS found_at_5,
    (
        SELECT MAX(l.settings)
        FROM plan l
        WHERE l.model_id = m.id AND l.attack_id = a.id AND l.seed = p.seed
            AND l.through_model_id IS NULL AND l.target IS NULL
    ) AS settings
FROM placed p
JOIN attack a ON a.id = p.attack_id
JOIN model m ON m.id = p.model_id
WHERE p.is_clean = 0
GROUP BY a.name, a.pixels, a.parameters, a.id, p.seed, m.id, m.architecture
ORDER BY m.id, a.name, a.pixels, a.id, p.seed
