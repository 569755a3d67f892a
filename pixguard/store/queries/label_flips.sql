-- Tables labels, label-sets and severity: every attempt, the label sets before and after it, and
-- its target where it had one.
-- Parameters: classifier_id, dataset_id.
-- What counts: attempts on the bare classifier, the first repeat of each. A failed attempt left
-- the decision as it was, whatever its best candidate.
SELECT
    a.id AS attack_id,
    a.name AS attack,
    a.version,
    a.pixels,
    a.parameters,
    t.seed,
    t.target,
    t.image_id,
    i.label_set,
    t.success,
    t.predicted_before AS before,
    CASE WHEN t.success = 1 THEN t.predicted_after ELSE t.predicted_before END AS after
FROM sampled_attempts t
JOIN image i ON i.id = t.image_id
JOIN attack a ON a.id = t.attack_id
WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id
  AND t.through_model_id IS NULL AND t.repeat = 0
ORDER BY a.pixels, a.id, t.seed, t.image_id, t.target NULLS FIRST
