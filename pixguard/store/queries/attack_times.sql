-- Tables 46 and 47: what the attempts on one classifier took, on each computer; one run of this
-- query is one dataset of the table.
-- Parameters: classifier_id, dataset_id, attack_id, seed.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each, failed or
-- not. A computer is told by its GPU, or without one by its CPU.
WITH timed AS (
    SELECT t.run_id, COUNT(*) AS attempts, SUM(t.queries) AS queries, SUM(t.elapsed_ms) AS elapsed_ms
    FROM attempts_that_count t
    JOIN image i ON i.id = t.image_id
    WHERE t.model_id = :classifier_id AND t.attack_id = :attack_id AND t.seed = :seed
      AND i.dataset_id = :dataset_id
    GROUP BY t.run_id
)
SELECT
    COALESCE(e.gpu, e.cpu) AS computer,
    SUM(s.attempts) AS attempts,
    SUM(s.queries) AS queries,
    SUM(s.elapsed_ms) AS elapsed_ms
FROM timed s
JOIN run r ON r.id = s.run_id
JOIN environment e ON e.id = r.environment_id
GROUP BY COALESCE(e.gpu, e.cpu)
ORDER BY COALESCE(e.gpu, e.cpu)
