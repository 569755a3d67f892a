-- What came of each attacked or clean image behind a denoiser, to be compared with another one.
-- Parameters: model_id (of the denoiser), is_attacked (1 or 0).
-- What counts: first repeats; of a plan that is not finished, the attempts of its finished beginning.
SELECT
    r.image_id,
    r.attempt_id AS part,
    r.classifier_id,
    m.architecture AS classifier,
    t.attack_id,
    a.name AS attack,
    a.pixels,
    t.seed,
    i.dataset_id,
    i.dataset_index,
    i.label_set,
    r.recovered AS outcome,
    r.predicted
FROM restoration r
JOIN image i ON i.id = r.image_id
JOIN model m ON m.id = r.classifier_id
LEFT JOIN attempt t ON t.id = r.attempt_id
LEFT JOIN attack a ON a.id = t.attack_id
WHERE r.denoiser_id = :model_id
  AND CASE WHEN r.attempt_id IS NULL THEN 0 ELSE 1 END = :is_attacked
  AND (r.attempt_id IS NULL OR t.repeat = 0 AND r.attempt_id NOT IN (SELECT o.attempt_id FROM attempts_out_of_order o))
ORDER BY r.classifier_id, t.attack_id, t.seed, r.image_id, r.attempt_id
