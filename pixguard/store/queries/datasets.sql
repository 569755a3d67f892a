-- Tables 6 to 10: every registered dataset, and what it holds where that was recorded. images is
-- NULL where it was not. No parameters.
WITH totals AS (
    SELECT n.dataset_id, SUM(n.images) AS images FROM dataset_count n GROUP BY n.dataset_id
),
labels AS (
    -- The pseudo-class for "no finding" has the ordinal -1.
    SELECT k.dataset_id, COUNT(*) AS classes
    FROM dataset_class k
    WHERE k.ordinal <> -1
    GROUP BY k.dataset_id
)
SELECT
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    d.version,
    d.split_scheme,
    d.split_seed,
    d.task,
    d.channels,
    t.images,
    l.classes,
    c.modality,
    c.least_height,
    c.greatest_height,
    c.least_width,
    c.greatest_width
FROM dataset d
LEFT JOIN dataset_content c ON c.dataset_id = d.id
LEFT JOIN totals t ON t.dataset_id = d.id
LEFT JOIN labels l ON l.dataset_id = d.id
ORDER BY d.id
