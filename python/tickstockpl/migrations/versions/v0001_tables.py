"""Bars, patterns, indicators, events, gaps and dead letters."""

from alembic import op

from tickstockpl.migrate import script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0001_tables.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
