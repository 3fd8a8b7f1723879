"""Rows of indicators that replace themselves."""

from alembic import op

from tickstockpl.migrate import script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0002_indicators.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
