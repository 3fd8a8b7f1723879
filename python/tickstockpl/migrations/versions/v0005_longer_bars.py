"""Daily bars, the sessions that they are of, and views of bars of other lengths."""

from alembic import op

from tickstockpl.migrate import script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0005_longer_bars.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
