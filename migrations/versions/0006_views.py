"""Views: what reports count, attempts and scores in plain columns.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

VIEWS = {
    "attempts_that_count": """SELECT
    t.id,
    t.attempt_key,
    t.attack_id,
    t.model_id,
    t.image_id,
    t.run_id,
    t.seed,
    t.success,
    t.predicted_before,
    t.predicted_after,
    t.confidence_before,
    t.confidence_after,
    t.true_confidence_after,
    t.queries,
    t.distinct_queries,
    t.generations,
    t.elapsed_ms,
    t.evaluator,
    t.precision
FROM attempt t
WHERE t.target IS NULL AND t.through_model_id IS NULL AND t.repeat = 0""",
    "attempt_details": """SELECT
    t.id AS attempt_id,
    t.attempt_key,
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    i.split,
    i.dataset_index,
    i.label_set,
    m.id AS classifier_id,
    m.architecture AS classifier,
    a.name AS attack,
    a.version AS attack_version,
    a.pixels,
    a.parameters,
    t.seed,
    t.repeat,
    t.target,
    h.architecture AS through,
    t.success,
    t.predicted_before,
    t.predicted_after,
    t.confidence_before,
    t.confidence_after,
    t.queries,
    t.elapsed_ms
FROM attempt t
JOIN image i ON i.id = t.image_id
JOIN dataset d ON d.id = i.dataset_id
JOIN model m ON m.id = t.model_id
JOIN attack a ON a.id = t.attack_id
LEFT JOIN model h ON h.id = t.through_model_id""",
    "newest_metric": """SELECT k.id, k.name, k.version
FROM metric k
WHERE k.version = (SELECT MAX(n.version) FROM metric n WHERE n.name = k.name)""",
    "restoration_scores": """SELECT
    r.id AS restoration_id,
    r.attempt_id,
    r.image_id,
    r.classifier_id,
    r.denoiser_id,
    r.recovered,
    MAX(CASE WHEN k.name = 'psnr' THEN s.value END) AS psnr,
    MAX(CASE WHEN k.name = 'ssim' THEN s.value END) AS ssim,
    MAX(CASE WHEN k.name = 'mse' THEN s.value END) AS mse,
    MAX(CASE WHEN k.name = 'gmsd' THEN s.value END) AS gmsd,
    MAX(CASE WHEN k.name = 'fsim' THEN s.value END) AS fsim,
    MAX(CASE WHEN k.name = 'psnr' AND s.value_kind = 'inf' THEN 1 ELSE 0 END) AS is_identical
FROM restoration r
JOIN score s ON s.restoration_id = r.id
JOIN newest_metric k ON k.id = s.metric_id
GROUP BY r.id, r.attempt_id, r.image_id, r.classifier_id, r.denoiser_id, r.recovered""",
    "clean_restorations": """SELECT
    r.id,
    i.dataset_id,
    r.image_id,
    r.classifier_id,
    r.denoiser_id,
    r.predicted,
    r.confidence,
    r.recovered,
    r.elapsed_ms
FROM restoration r
JOIN image i ON i.id = r.image_id
JOIN prediction p ON p.model_id = r.classifier_id AND p.image_id = r.image_id
WHERE r.attempt_id IS NULL AND i.split = 'test' AND p.predicted = i.label_set""",
}


def upgrade() -> None:
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS\n{query}")
