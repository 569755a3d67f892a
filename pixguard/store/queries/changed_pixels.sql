-- Figure heatmap: where the pixels lie that successful attempts changed.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each. Images of
-- different heights and widths make rows of their own.
SELECT
    i.height,
    i.width,
    p.row,
    p.col,
    COUNT(*) AS changed
FROM attempts_that_count t
JOIN image i ON i.id = t.image_id
JOIN pixel p ON p.attempt_id = t.id
WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
  AND i.dataset_id = :dataset_id AND t.success = 1
GROUP BY i.height, i.width, p.row, p.col
ORDER BY i.height, i.width, p.row, p.col
