-- Table 11: the computers that made what this database holds, with the number of their runs.
-- No parameters.
SELECT r.host AS computer, e.cpu, e.cpu_threads, e.gpu, e.memory_mib, COUNT(*) AS runs
FROM run r
JOIN environment e ON e.id = r.environment_id
GROUP BY r.host, e.cpu, e.cpu_threads, e.gpu, e.memory_mib
ORDER BY MIN(r.id)
