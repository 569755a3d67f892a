-- Tables truth and least-flips, figure truth: what surveys have kept; a row an image and a method.
-- Parameters: classifier_id, dataset_id, method (a pattern: pixel-map, -sample or -universal).
-- votes: JSON, see pixguard.records.PixelMap, PixelSample and UniversalPixels.
SELECT
    c.image_id,
    i.label_set,
    c.method,
    c.predicted,
    c.votes
FROM certificate c
JOIN image i ON i.id = c.image_id
WHERE c.model_id = :classifier_id AND i.dataset_id = :dataset_id AND c.method LIKE :method
ORDER BY c.image_id, c.id
