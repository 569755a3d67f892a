-- Table 43: the same attack on two classifiers; one run of this query is one row of the table.
-- Parameters: first_classifier_id, first_attack_id, first_seed, and the same of the second;
-- NULL where there is no such classifier.
-- What counts: non-targeted attempts on the bare classifier, the first repeat of each.
-- shared counts the images that were attacked on both: only there is the comparison paired.
WITH counted AS (
    SELECT t.image_id, t.model_id, t.success
    FROM attempts_that_count t
    WHERE ((t.model_id = :first_classifier_id AND t.attack_id = :first_attack_id
            AND t.seed = :first_seed)
        OR (t.model_id = :second_classifier_id AND t.attack_id = :second_attack_id
            AND t.seed = :second_seed))
),
by_image AS (
    SELECT
        image_id,
        SUM(CASE WHEN model_id = :first_classifier_id THEN 1 ELSE 0 END) AS first_attacked,
        SUM(CASE WHEN model_id = :first_classifier_id THEN success ELSE 0 END)
            AS first_succeeded,
        SUM(CASE WHEN model_id = :second_classifier_id THEN 1 ELSE 0 END) AS second_attacked,
        SUM(CASE WHEN model_id = :second_classifier_id THEN success ELSE 0 END)
            AS second_succeeded
    FROM counted
    GROUP BY image_id
)
SELECT
    COALESCE(SUM(first_attacked), 0) AS first_attacked,
    COALESCE(SUM(first_succeeded), 0) AS first_succeeded,
    COALESCE(SUM(second_attacked), 0) AS second_attacked,
    COALESCE(SUM(second_succeeded), 0) AS second_succeeded,
    COALESCE(SUM(CASE WHEN first_attacked > 0 AND second_attacked > 0 THEN 1 ELSE 0 END), 0)
        AS shared
FROM by_image
