"""Alembic's environment: it only writes SQL, which `tickstockpl migrate` runs on its own connection, under its lock."""

from alembic import context

from tickstockpl.migrate import VERSION_TABLE

context.configure(dialect_name="postgresql", version_table=VERSION_TABLE, output_buffer=context.config.output_buffer)
context.run_migrations()
