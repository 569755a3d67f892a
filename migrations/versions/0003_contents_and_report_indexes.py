"""What a dataset holds, and the indexes that reports on large databases need.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text()


def _create(table: str, *items: SchemaItem) -> None:
    op.create_table(
        table,
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("dataset_id", INTEGER, nullable=False),
        *items,
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=f"fk_{table}_dataset_id", ondelete="RESTRICT"
        ),
        sqlite_strict=True,
    )


def upgrade() -> None:
    _create(
        "dataset_content",
        sa.Column("modality", TEXT, nullable=True),
        sa.Column("least_height", INTEGER, nullable=False),
        sa.Column("greatest_height", INTEGER, nullable=False),
        sa.Column("least_width", INTEGER, nullable=False),
        sa.Column("greatest_width", INTEGER, nullable=False),
        sa.UniqueConstraint("dataset_id", name="uq_dataset_content_dataset_id"),
    )
    _create(
        "dataset_count",
        sa.Column("split", TEXT, nullable=False),
        sa.Column("label_set", TEXT, nullable=False),
        sa.Column("images", INTEGER, nullable=False),
        sa.UniqueConstraint(
            "dataset_id", "split", "label_set", name="uq_dataset_count_dataset_id_split_label_set"
        ),
        sa.CheckConstraint(
            "split IN ('train', 'val', 'test')", name=op.f("ck_dataset_count_split")
        ),
    )
    op.create_index(
        "ix_attempt_plan",
        "attempt",
        [
            "model_id",
            "attack_id",
            "seed",
            "target",
            "through_model_id",
            "repeat",
            "success",
            "image_id",
        ],
    )
