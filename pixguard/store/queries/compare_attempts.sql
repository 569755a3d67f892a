-- What an attack came to on each image, to be compared with another one on the same images.
-- Parameters: model_id, attack_id, seed, through_model_id (0: none), is_targeted (1 or 0).
-- What counts: the first repeat of each attempt; of a plan that is not finished its finished
-- beginning.
SELECT
    t.image_id,
    t.target AS part,
    d.id AS dataset_id,
    i.dataset_index,
    i.label_set,
    t.success AS outcome,
    t.predicted_after AS predicted
FROM sampled_attempts t
JOIN image i ON i.id = t.image_id
JOIN dataset d ON d.id = i.dataset_id
WHERE t.model_id = :model_id AND t.attack_id = :attack_id AND t.seed = :seed AND t.repeat = 0
  AND COALESCE(t.through_model_id, 0) = :through_model_id
  AND CASE WHEN t.target IS NULL THEN 0 ELSE 1 END = :is_targeted
ORDER BY t.image_id, t.target
