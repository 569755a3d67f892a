-- Table truth: what surveys of pixels drawn have found; a row an image and a method.
-- Parameters: classifier_id, dataset_id.
-- votes: a JSON list: of the pixels drawn among those that no extreme fools how many are proven, of
-- all pixels how many an extreme fools, of those drawn how many are fooled only between extremes,
-- and how many are open. pixels: how many the image has.
SELECT
    c.method,
    c.votes,
    d.size * d.size AS pixels
FROM certificate c
JOIN image i ON i.id = c.image_id
JOIN dataset d ON d.id = i.dataset_id
WHERE c.model_id = :classifier_id AND i.dataset_id = :dataset_id
  AND c.method LIKE 'pixel-sample%'
ORDER BY c.method, c.image_id
