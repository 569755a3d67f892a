-- Table detection: attacks that had to leave a detector silent, beside the same without it.
-- Parameters: detector_id.
-- What counts: non-targeted attempts, the first repeat of each, of an incomplete plan its beginning;
-- a row for each classifier, attack and seed. undetected: fooled the classifier, and raised no
-- alarm. shared: attacked without the detector, too, by the same attack and seed; fooled: of these,
-- those that fell. settings: of the plan, where one was stored.
SELECT
    a.id AS attack_id,
    a.name AS attack,
    a.pixels,
    a.parameters,
    t.seed,
    m.id AS classifier_id,
    m.architecture AS classifier,
    COUNT(*) AS tried,
    SUM(t.success) AS undetected,
    COUNT(b.id) AS shared,
    SUM(b.success) AS fooled,
    (
        SELECT MAX(l.settings)
        FROM plan l
        WHERE l.model_id = m.id AND l.attack_id = a.id AND l.seed = t.seed
            AND l.through_model_id = :detector_id AND l.target IS NULL
    ) AS settings
FROM sampled_attempts t
JOIN attack a ON a.id = t.attack_id
JOIN model m ON m.id = t.model_id
LEFT JOIN attempts_that_count b
    ON b.model_id = t.model_id AND b.attack_id = t.attack_id AND b.seed = t.seed
    AND b.image_id = t.image_id
WHERE t.through_model_id = :detector_id AND t.target IS NULL AND t.repeat = 0
GROUP BY a.id, a.name, a.pixels, a.parameters, t.seed, m.id, m.architecture
ORDER BY m.id, a.name, a.pixels, a.id, t.seed
