"""Alembic migrations of the log's tables; run by `router_model.serving.decision_log.schema`."""
