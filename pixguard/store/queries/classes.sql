-- The classes of a dataset in its own order ("no finding", ordinal -1, comes first).
-- Parameter: dataset_id.
SELECT c.ordinal, c.name AS class, c.disease_type
FROM dataset_class c
WHERE c.dataset_id = :dataset_id
ORDER BY c.ordinal
