-- Table certified: what a certified classifier promises on test images, and what a plain one does
-- on the same images.
-- Parameters: classifier_id, plain_id (0 for none), method.
-- A decision is certain at k pixels when its radius is k or more. An image counts as tried with k
-- pixels when any attempt of k pixels was made on the bare classifier (whatever the attack, target,
-- repeat and seed), and as fooled when any such attempt of k pixels or fewer succeeded. refuted
-- counts images that fewer changed pixels than promised have fooled; there must be none.
WITH held AS (
    SELECT
        c.image_id,
        c.radius,
        CASE WHEN c.predicted = i.label_set THEN 1 ELSE 0 END AS is_right,
        CASE WHEN p.predicted = i.label_set THEN 1 WHEN p.id IS NOT NULL THEN 0 END
            AS is_plain_right,
        ROW_NUMBER() OVER (ORDER BY c.radius) AS place,
        COUNT(*) OVER () AS places
    FROM certificate c
    JOIN image i ON i.id = c.image_id
    LEFT JOIN prediction p ON p.image_id = c.image_id AND p.model_id = :plain_id
    WHERE c.model_id = :classifier_id AND c.method = :method AND i.split = 'test'
),
tried AS (
    SELECT
        t.model_id,
        t.image_id,
        MAX(CASE WHEN a.pixels = 1 THEN 1 ELSE 0 END) AS with_1,
        MAX(CASE WHEN a.pixels = 2 THEN 1 ELSE 0 END) AS with_2,
        MIN(CASE WHEN t.success = 1 THEN a.pixels END) AS fewest
    FROM attempt t
    JOIN attack a ON a.id = t.attack_id
    WHERE t.model_id IN (:classifier_id, :plain_id) AND t.through_model_id IS NULL
      AND a.pixels > 0  -- of dense attacks nothing was promised
    GROUP BY t.model_id, t.image_id
)
SELECT
    (SELECT m.parameters FROM model m WHERE m.id = :classifier_id) AS parameters,
    COUNT(*) AS images,
    SUM(h.is_right) AS clean_right,
    SUM(CASE WHEN h.radius >= 1 THEN h.is_right END) AS certain_1,
    SUM(CASE WHEN h.radius >= 2 THEN h.is_right END) AS certain_2,
    -- The middle value, or the middle two of an even number.
    AVG(CASE WHEN 2 * h.place BETWEEN h.places AND h.places + 2 THEN h.radius END)
        AS median_radius,
    SUM(v.with_1) AS tried_1,
    SUM(CASE WHEN v.fewest <= 1 THEN v.with_1 END) AS fooled_1,
    SUM(v.with_2) AS tried_2,
    SUM(CASE WHEN v.fewest <= 2 THEN v.with_2 END) AS fooled_2,
    SUM(CASE WHEN v.fewest <= h.radius THEN 1 END) AS refuted,
    COUNT(h.is_plain_right) AS plain_images,
    SUM(h.is_plain_right) AS plain_right,
    SUM(b.with_1) AS plain_tried_1,
    SUM(CASE WHEN b.fewest <= 1 THEN b.with_1 END) AS plain_fooled_1,
    SUM(b.with_2) AS plain_tried_2,
    SUM(CASE WHEN b.fewest <= 2 THEN b.with_2 END) AS plain_fooled_2
FROM held h
LEFT JOIN tried v ON v.model_id = :classifier_id AND v.image_id = h.image_id
LEFT JOIN tried b ON b.model_id = :plain_id AND b.image_id = h.image_id
