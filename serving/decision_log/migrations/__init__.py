"""Alembic migrations of the log's tables; run by `serving.decision_log.schema`."""
