-- Attack plans, how far they are, and what their rates are over; those of which something is still
-- to do, or with finished = 1 all.
-- planned is NULL where a plan was not recorded; counted is its finished beginning, in the first
-- repeat, whose attempts rates are taken over, and succeeded how many of these did.
SELECT
    l.id AS plan_id,
    l.model_id AS classifier_id,
    m.architecture,
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    a.id AS attack_id,
    a.name AS attack,
    a.pixels,
    a.parameters,
    l.seed,
    l.target,
    l.through_model_id,
    CASE WHEN h.kind = 'detector' THEN 'detector ' ELSE '' END || h.architecture AS through,
    l.planned,
    l.command,
    l.run_id,
    l.finished_ms,
    COALESCE(e.made, 0) AS made,
    COALESCE(e.failed, 0) AS failed,
    COALESCE(e.counted, 0) AS counted,
    COALESCE(e.succeeded, 0) AS succeeded
FROM plan l
JOIN model m ON m.id = l.model_id
JOIN dataset d ON d.id = l.dataset_id
JOIN attack a ON a.id = l.attack_id
LEFT JOIN model h ON h.id = l.through_model_id
LEFT JOIN (
    SELECT
        x.plan_id,
        COUNT(x.success) AS made,
        SUM(x.failed) AS failed,
        SUM(x.is_counted) AS counted,
        SUM(x.is_counted * x.success) AS succeeded
    FROM (
        SELECT
            p.plan_id,
            t.success,
            CASE WHEN t.id IS NULL AND EXISTS (
                SELECT 1 FROM failure f WHERE f.attempt_key = p.attempt_key
            ) THEN 1 ELSE 0 END AS failed,
            CASE WHEN t.id IS NOT NULL AND p.repeat = 0
                AND p.place < COALESCE(g.place, l.planned) THEN 1 ELSE 0 END AS is_counted
        FROM plan l
        -- SQLite joins in this order where it says CROSS; it would look through all plans else.
        CROSS JOIN planned_attempt p
        LEFT JOIN attempt t ON t.attempt_key = p.attempt_key
        LEFT JOIN plan_gaps g ON g.plan_id = p.plan_id AND g.repeat = p.repeat
        WHERE p.plan_id = l.id AND (l.finished_ms IS NULL OR :finished = 1)
    ) x
    GROUP BY x.plan_id
) e ON e.plan_id = l.id
WHERE :finished = 1 OR (
    l.finished_ms IS NULL AND (l.planned IS NULL OR l.planned > COALESCE(e.made + e.failed, 0))
)
ORDER BY l.id
