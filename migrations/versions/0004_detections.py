"""What detectors say about clean and attacked images.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
REAL = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text()
REFERENCES = {"attempt_id": "attempt", "image_id": "image", "detector_id": "model", "run_id": "run"}


def _foreign_key(column: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_detection_{column}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="RESTRICT")


def upgrade() -> None:
    op.create_table(
        "detection",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("detection_key", TEXT, nullable=False),
        sa.Column("attempt_id", INTEGER, nullable=True),
        sa.Column("image_id", INTEGER, nullable=False),
        sa.Column("detector_id", INTEGER, nullable=False),
        sa.Column("run_id", INTEGER, nullable=False),
        sa.Column("score", REAL, nullable=False),
        sa.Column("flagged", INTEGER, nullable=False),
        sa.Column("elapsed_ms", REAL, nullable=False),
        sa.CheckConstraint("flagged IN (0, 1)", name=op.f("ck_detection_flagged")),
        sa.PrimaryKeyConstraint("id", name="pk_detection"),
        sa.UniqueConstraint("detection_key", name="uq_detection_detection_key"),
        *(_foreign_key(column, target) for column, target in REFERENCES.items()),
        sqlite_strict=True,
    )
    for column in REFERENCES:
        op.create_index(f"ix_detection_{column}", "detection", [column])
