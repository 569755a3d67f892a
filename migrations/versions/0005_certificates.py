"""Certificates of certified classifiers.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text()


def _foreign_key(column: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_certificate_{column}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="RESTRICT")


def upgrade() -> None:
    op.create_table(
        "certificate",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("model_id", INTEGER, nullable=False),
        sa.Column("image_id", INTEGER, nullable=False),
        sa.Column("run_id", INTEGER, nullable=False),
        sa.Column("method", TEXT, nullable=False),
        sa.Column("predicted", TEXT, nullable=False),
        sa.Column("votes", TEXT, nullable=False),
        sa.Column("radius", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_certificate"),
        sa.UniqueConstraint(
            "model_id", "image_id", "method", name="uq_certificate_model_id_image_id_method"
        ),
        sa.CheckConstraint("radius >= 0", name=op.f("ck_certificate_radius")),
        _foreign_key("model_id", "model"),
        _foreign_key("image_id", "image"),
        _foreign_key("run_id", "run"),
        sqlite_strict=True,
    )
    for column in ("image_id", "run_id"):
        op.create_index(f"ix_certificate_{column}", "certificate", [column])
