-- Runs that did not end, and what each asked for in the attempts that it finished.
SELECT
    r.id AS run_id,
    r.command,
    r.host,
    r.pid,
    r.started_ms,
    r.heartbeat_ms,
    (SELECT MAX(l.id) FROM plan l WHERE l.run_id = r.id AND l.finished_ms IS NULL) AS plan_id,
    (SELECT COUNT(*) FROM attempt t WHERE t.run_id = r.id) AS made,
    (SELECT SUM(t.queries) FROM attempt t WHERE t.run_id = r.id) AS queries
FROM run r
WHERE r.status = 'running'
ORDER BY r.id
