-- Where the runs were made.
SELECT
    e.id AS id,
    e.pixguard_version AS pixguard,
    e.git_sha AS commit_sha,
    e.python_version AS python,
    e.torch_version AS torch,
    e.cpu AS cpu,
    e.cpu_threads AS threads,
    e.memory_mib AS memory_mib,
    e.gpu AS gpu,
    (SELECT COUNT(*) FROM run r WHERE r.environment_id = e.id) AS runs
FROM environment e
ORDER BY e.id
