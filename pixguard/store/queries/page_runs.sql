-- The newest runs, newest first.
SELECT
    r.id AS id,
    r.started_ms AS started_ms,
    r.status AS status,
    r.environment_id AS environment,
    r.command AS command
FROM run r
ORDER BY r.id DESC
LIMIT :limit
