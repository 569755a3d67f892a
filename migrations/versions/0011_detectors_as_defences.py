"""Attempts that a detector watches: attempt_details says of a defence which kind it is.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

ATTEMPT_DETAILS = """SELECT
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
    CASE WHEN h.kind = 'detector' THEN 'detector ' ELSE '' END || h.architecture AS through,
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
LEFT JOIN model h ON h.id = t.through_model_id"""


def upgrade() -> None:
    """Make the view anew."""
    op.execute("DROP VIEW attempt_details")
    op.execute(f"CREATE VIEW attempt_details AS\n{ATTEMPT_DETAILS}")
