"""Migrate a database's tables to the version that this program knows.

Run at every start, under a lock, as several workers may start at once. A schema that is newer than this program is
left alone.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from router_model.serving.common.service_errors import SettingsError
from router_model.serving.decision_log.tables import VERSION_TABLE

_MIGRATIONS: Final = Path(__file__).with_name("migrations")
_ADVISORY_LOCK: Final = 0x726F75746572  # "router" in ASCII; any number does that no other program uses as a lock


def migrate(connection: Connection, *, create: bool = True) -> None:
    """Make or migrate the tables, in the transaction of `connection`.

    That of SQLite must have begun IMMEDIATE, which is a lock; in PostgreSQL an advisory lock is taken until it ends.

    Parameters
    ----------
    create : bool
        False: nothing is made in a database that is not a log yet, as it may be somebody else's.

    Raises
    ------
    SettingsError
        If the schema is newer than this program, or is not to be made and is not there.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = Config()
    # Alembic reads the option by configparser, in which a single "%" begins a reference.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    current = _known_version(connection, scripts)
    if current is None and not create:
        raise not_a_log()
    if current != scripts.get_current_head():
        command.upgrade(config, "head")


def not_a_log() -> SettingsError:
    """Return the error of a database that is somebody else's, or empty, and was expected to be a log."""
    return SettingsError(
        "this database has no decision log in it, and nothing was changed; give the one that the service writes"
    )


def check_version(connection: Connection) -> None:
    """Raise an error if the schema is newer than this program; change nothing.

    Raises
    ------
    SettingsError
    """
    _known_version(connection, ScriptDirectory(str(_MIGRATIONS)))


def _known_version(connection: Connection, scripts: ScriptDirectory) -> str | None:
    """Return the version of a database's tables; None where it has none of ours."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    current = context.get_current_revision()
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise SettingsError(
            f"the log's tables are at version {current!r}, and this program knows versions up to "
            f"{scripts.get_current_head()!r}: a newer router-model has migrated them. Upgrade "
            "this one, or use another log"
        )
    return current
