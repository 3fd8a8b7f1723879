"""Which of several services in one database an event is of."""

from alembic import op

from tickstockpl.migrate import script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0008_parts.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
