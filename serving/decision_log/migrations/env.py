"""The script that alembic executes to migrate; `decision_log.schema` gives it the connection and its lock."""

from alembic import context

from router_model.serving.decision_log.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
