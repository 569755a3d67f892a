-- What the overview of a database says of each dataset.
SELECT
    d.name AS dataset,
    d.source AS source,
    d.size AS size,
    d.task AS task,
    d.version AS version,
    d.licence AS licence,
    (SELECT COUNT(*) FROM dataset_class c WHERE c.dataset_id = d.id AND c.ordinal >= 0) AS classes,
    (SELECT COUNT(*) FROM image i WHERE i.dataset_id = d.id) AS images
FROM dataset d
ORDER BY d.id
