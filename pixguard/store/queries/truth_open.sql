-- Table truth: images on which a proof has ended without a verdict, for want of budget.
-- Parameters: classifier_id, dataset_id, pixels.
-- What counts: non-targeted attempts on the bare classifier that have not been made since.
SELECT COUNT(DISTINCT p.dataset_index) AS images
FROM planned_attempt p
JOIN plan l ON l.id = p.plan_id
JOIN attack a ON a.id = l.attack_id
JOIN failure f ON f.attempt_key = p.attempt_key
WHERE l.model_id = :classifier_id AND l.dataset_id = :dataset_id AND a.pixels = :pixels
  AND l.target IS NULL AND l.through_model_id IS NULL
  AND f.error_type = 'Undecided'
  AND NOT EXISTS (SELECT 1 FROM attempt t WHERE t.attempt_key = p.attempt_key)
