"""What alembic executes to migrate; the connection and its lock come from `serving.decision_log.schema`."""

from alembic import context

from serving.decision_log.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
