-- Attack plans at which something was remarked about the classifier; remarks is a JSON list.
SELECT DISTINCT
    l.model_id AS classifier_id,
    m.architecture,
    l.dataset_id,
    l.attack_id,
    a.name AS attack,
    a.pixels,
    l.seed,
    l.remarks
FROM plan l
JOIN model m ON m.id = l.model_id
JOIN attack a ON a.id = l.attack_id
WHERE l.remarks <> '[]'
ORDER BY l.model_id, l.attack_id, l.seed
