"""Which calendar a session is of."""

from alembic import op

from tickstockpl.migrate import script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0009_calendar.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
