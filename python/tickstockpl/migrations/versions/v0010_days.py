"""An index of the events on bars of a day and a week."""

from alembic import op

from tickstockpl.migrate import script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("0010_days.sql"))


def downgrade() -> None:
    """Forward only: no version before needs this index gone.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
