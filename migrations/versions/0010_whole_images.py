"""Images of dense attacks.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
REAL = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text()


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "whole_image",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("attempt_id", INTEGER, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("linf", INTEGER, nullable=False),
        sa.Column("l2", REAL, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_whole_image")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_whole_image_attempt_id")),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempt.id"],
            name=op.f("fk_whole_image_attempt_id"),
            ondelete="RESTRICT",
        ),
        sqlite_strict=True,
    )
