-- Table pixels: where the pixels of the successful attempts are, and their colours before and
-- after (JSON, uint8 by channel). The image is parted in four bands and four strips.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
SELECT
    i.height,
    i.width,
    4 * p.row / i.height AS band,
    4 * p.col / i.width AS strip,
    CASE WHEN p.row IN (0, i.height - 1) OR p.col IN (0, i.width - 1) THEN 1 ELSE 0 END AS is_border,
    p.before,
    p.after,
    COUNT(*) AS pixels
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
JOIN pixel p ON p.attempt_id = t.id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id AND t.success = 1
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1, 2, 3, 4, 5, 6, 7
