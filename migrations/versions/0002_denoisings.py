"""Noisy test images restored by denoisers, and their scores.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
REAL = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text()


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="RESTRICT")


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _create(table: str, *items: SchemaItem, indexes: tuple[str, ...]) -> None:
    identity = sa.Column("id", INTEGER, nullable=False)
    primary = sa.PrimaryKeyConstraint("id", name=f"pk_{table}")
    op.create_table(table, identity, *items, primary, sqlite_strict=True)
    for column in indexes:
        op.create_index(f"ix_{table}_{column}", table, [column])


def upgrade() -> None:
    _create(
        "denoising",
        sa.Column("denoising_key", TEXT, nullable=False),
        sa.Column("denoiser_id", INTEGER, nullable=False),
        sa.Column("image_id", INTEGER, nullable=False),
        sa.Column("noise", TEXT, nullable=False),
        sa.Column("level", REAL, nullable=False),
        sa.Column("seed", INTEGER, nullable=False),
        sa.Column("run_id", INTEGER, nullable=False),
        sa.Column("elapsed_ms", REAL, nullable=False),
        sa.UniqueConstraint("denoising_key", name="uq_denoising_denoising_key"),
        _foreign_key("denoising", "denoiser_id", "model"),
        _foreign_key("denoising", "image_id", "image"),
        _foreign_key("denoising", "run_id", "run"),
        indexes=("denoiser_id", "image_id", "run_id"),
    )
    _create(
        "denoising_score",
        sa.Column("denoising_id", INTEGER, nullable=False),
        sa.Column("metric_id", INTEGER, nullable=False),
        sa.Column("value", REAL, nullable=True),
        sa.Column("value_kind", TEXT, nullable=False),
        sa.UniqueConstraint(
            "denoising_id", "metric_id", name="uq_denoising_score_denoising_id_metric_id"
        ),
        _check("denoising_score", "value_kind", "value_kind IN ('finite', 'inf', 'nan')"),
        _check("denoising_score", "value", "(value_kind = 'finite') = (value IS NOT NULL)"),
        _foreign_key("denoising_score", "denoising_id", "denoising"),
        _foreign_key("denoising_score", "metric_id", "metric"),
        indexes=("metric_id",),
    )
