"""What became of events."""

from alembic import op

from tickstockpl.migrate import script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0006_outcomes.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
