"""Where bars come from, and how far their source is stored."""

from alembic import op

from tickstockpl.migrate import script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0003_sources.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
