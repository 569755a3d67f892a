"""The state of attempts in flight lies in a file beside the database, not in it.

Nothing was ever written to the table.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Drop the table."""
    op.drop_table("attempt_state")
