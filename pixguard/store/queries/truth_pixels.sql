-- Table truth: what surveys of all pixels have found; a row an image and a budget.
-- Parameters: classifier_id, dataset_id.
-- votes: a JSON list, how many pixels are proven, fooled at an extreme, fooled only between
-- extremes, and open.
SELECT
    c.image_id,
    c.votes
FROM certificate c
JOIN image i ON i.id = c.image_id
WHERE c.model_id = :classifier_id AND i.dataset_id = :dataset_id
  AND c.method LIKE 'pixel-survey%'
ORDER BY c.image_id, c.id
