-- How much of everything a database holds. The names are shown, underscores as spaces.
SELECT
    (SELECT COUNT(*) FROM dataset) AS datasets,
    (SELECT COUNT(*) FROM model WHERE kind = 'classifier') AS classifiers,
    (SELECT COUNT(*) FROM model WHERE kind = 'denoiser') AS denoisers,
    (SELECT COUNT(*) FROM attempt) AS attempts,
    (SELECT COUNT(*) FROM attempt WHERE success = 1) AS successful_attempts,
    (SELECT COUNT(*) FROM restoration WHERE attempt_id IS NOT NULL) AS restored_images,
    (SELECT COUNT(*) FROM failure) AS failures
