-- Table cost: what the attempts on one classifier took; one run of this query gives its rows.
-- Parameters: classifier_id, dataset_id (of the attacked images, as in attack_plans.sql).
-- What counts: every finished attempt, whatever its target, repeat, seed and outcome.
-- Distinct queries were not always counted; the sums that end in _counted are over the attempts
-- where they were. A machine is told by its GPU, or without one by its CPU.
WITH summed AS (
    -- First by what an attempt holds: a join for each of a million attempts would cost seconds.
    SELECT
        t.attack_id,
        t.through_model_id,
        t.run_id,
        t.evaluator,
        t.precision,
        MIN(t.image_id) AS image_id,
        COUNT(*) AS attempts,
        SUM(t.queries) AS queries,
        SUM(t.elapsed_ms) AS elapsed_ms,
        COUNT(t.distinct_queries) AS attempts_counted,
        SUM(t.distinct_queries) AS distinct_queries,
        SUM(CASE WHEN t.distinct_queries IS NOT NULL THEN t.queries END) AS queries_counted,
        SUM(CASE WHEN t.distinct_queries IS NOT NULL THEN t.elapsed_ms END) AS elapsed_ms_counted
    FROM attempt t
    WHERE t.model_id = :classifier_id
    GROUP BY t.attack_id, t.through_model_id, t.run_id, t.evaluator, t.precision
)
SELECT
    a.name AS attack,
    a.pixels,
    d.id AS denoiser_id,
    CASE WHEN d.kind = 'detector' THEN 'detector ' ELSE '' END || d.architecture AS denoiser,
    s.evaluator,
    s.precision,
    COALESCE(e.gpu, e.cpu) AS machine,
    SUM(s.attempts) AS attempts,
    SUM(s.queries) AS queries,
    SUM(s.elapsed_ms) AS elapsed_ms,
    SUM(s.attempts_counted) AS attempts_counted,
    SUM(s.distinct_queries) AS distinct_queries,
    SUM(s.queries_counted) AS queries_counted,
    SUM(s.elapsed_ms_counted) AS elapsed_ms_counted
FROM summed s
JOIN attack a ON a.id = s.attack_id
JOIN image i ON i.id = s.image_id
JOIN run r ON r.id = s.run_id
JOIN environment e ON e.id = r.environment_id
LEFT JOIN model d ON d.id = s.through_model_id
WHERE i.dataset_id = :dataset_id
GROUP BY
    a.name, a.pixels, d.id, d.kind, d.architecture, s.evaluator, s.precision, COALESCE(e.gpu, e.cpu)
ORDER BY
    a.name, a.pixels, COALESCE(d.id, 0), s.evaluator, s.precision, COALESCE(e.gpu, e.cpu)
