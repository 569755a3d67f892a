-- Table cost: what the attempts on one classifier took; one run of this query gives its rows.
-- Parameters: classifier_id, dataset_id (of the attacked images).
-- What counts: every finished attempt, whatever its target, repeat, seed and outcome.
-- Distinct queries were not always counted; the sums that end in _counted are over the attempts
-- where they were. A machine is told by its GPU, or without one by its CPU.
SELECT
    a.name AS attack,
    a.pixels,
    d.id AS denoiser_id,
    d.architecture AS denoiser,
    t.evaluator,
    t.precision,
    COALESCE(e.gpu, e.cpu) AS machine,
    COUNT(*) AS attempts,
    SUM(t.queries) AS queries,
    SUM(t.elapsed_ms) AS elapsed_ms,
    COUNT(t.distinct_queries) AS attempts_counted,
    SUM(t.distinct_queries) AS distinct_queries,
    SUM(CASE WHEN t.distinct_queries IS NOT NULL THEN t.queries END) AS queries_counted,
    SUM(CASE WHEN t.distinct_queries IS NOT NULL THEN t.elapsed_ms END) AS elapsed_ms_counted
FROM attempt t
JOIN attack a ON a.id = t.attack_id
JOIN image i ON i.id = t.image_id
JOIN run r ON r.id = t.run_id
JOIN environment e ON e.id = r.environment_id
LEFT JOIN model d ON d.id = t.through_model_id
WHERE t.model_id = :classifier_id AND i.dataset_id = :dataset_id
GROUP BY
    a.name, a.pixels, d.id, d.architecture, t.evaluator, t.precision, COALESCE(e.gpu, e.cpu)
ORDER BY
    a.name, a.pixels, COALESCE(d.id, 0), t.evaluator, t.precision, COALESCE(e.gpu, e.cpu)
