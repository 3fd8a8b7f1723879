"""How long the bar of an event is."""

from alembic import op

from tickstockpl.migrate import script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0007_timeframes.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
