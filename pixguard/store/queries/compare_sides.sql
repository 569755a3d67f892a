-- What a plan, or the attempts of a run, were made with.
-- Parameters: plan_id, run_id; one of them is 0.
SELECT DISTINCT
    s.model_id,
    m.architecture,
    s.attack_id,
    a.name AS attack,
    a.version,
    a.pixels,
    a.parameters,
    s.seed,
    s.through_model_id,
    CASE WHEN h.kind = 'detector' THEN 'detector ' ELSE '' END || h.architecture AS through,
    s.is_targeted
FROM (
    SELECT
        l.model_id, l.attack_id, l.seed, COALESCE(l.through_model_id, 0) AS through_model_id,
        CASE WHEN l.target IS NULL THEN 0 ELSE 1 END AS is_targeted
    FROM plan l
    WHERE l.id = :plan_id
    UNION ALL
    SELECT
        t.model_id, t.attack_id, t.seed, COALESCE(t.through_model_id, 0) AS through_model_id,
        CASE WHEN t.target IS NULL THEN 0 ELSE 1 END AS is_targeted
    FROM attempt t
    WHERE t.run_id = :run_id
) s
JOIN model m ON m.id = s.model_id
JOIN attack a ON a.id = s.attack_id
LEFT JOIN model h ON h.id = s.through_model_id
