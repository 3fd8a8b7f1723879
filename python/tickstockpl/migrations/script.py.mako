"""${message}."""

from alembic import op

from tickstockpl.migrate import script

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Run the file; every statement in it may run again."""
    op.execute(script("${up_revision}_${message.replace(" ", "_").lower()}.sql"))


def downgrade() -> None:
    """Forward only: going back would drop columns that hold data.

    Raises NotImplementedError, always.
    """
    raise NotImplementedError("migrations go forward only")
