-- Figure roc: how many attacked images, and how many of the clean ones that they were, a detector
-- gave each score; once a classifier, attack and seed.
-- Parameters: detector_id.
-- What counts: successful non-targeted attempts on the bare classifier, the first repeat of each,
-- on test images that the detector scored both attacked and clean, as in detection_attacks.sql.
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
    SELECT model_id, attack_id, seed, score, flagged, 1 AS to_find, 0 AS compared FROM pairs
    UNION ALL
    SELECT model_id, attack_id, seed, clean_score, clean_flagged, 0, 1 FROM pairs
)
SELECT
    s.model_id AS classifier_id,
    m.architecture AS classifier,
    a.id AS attack_id,
    a.name AS attack,
    a.pixels,
    s.seed,
    s.score,
    MAX(s.flagged) AS flagged,
    SUM(s.to_find) AS to_find,
    SUM(s.compared) AS compared
FROM scored s
JOIN attack a ON a.id = s.attack_id
JOIN model m ON m.id = s.model_id
GROUP BY s.model_id, m.architecture, a.id, a.name, a.pixels, s.seed, s.score
ORDER BY s.model_id, a.name, a.pixels, a.id, s.seed, s.score DESC
