"""Alembic's way in: runs on the connection that `Store.migrate` opened, inside its transaction."""

from alembic import context

from broadcast.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=True,
)
context.run_migrations()
