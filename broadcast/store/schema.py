"""Which schemas this program works on: its own, and every later one of its generation.

A revision has four digits. While the first two stay the same, a migration only adds: tables, columns that are
empty or filled by themselves, indexes; or it lets go of an index that no query needs. So a process of the
version before goes on while the next one starts.
A migration that has to take something away begins the next generation.
"""

import importlib.util
import re
from dataclasses import dataclass
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from broadcast.errors import BroadcastError

_GENERATION: Final = 2


@dataclass(frozen=True, kw_only=True)
class SchemaFault:
    """Why this program cannot work on a database, and what to do."""

    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.message} {self.fix}"


_OLDER: Final = SchemaFault(
    message="The database is not at this version's schema.", fix="Run: broadcast migrate"
)


def fault(conn: Connection) -> SchemaFault | None:
    """Return why this program cannot work on the database, None where it can."""
    found = MigrationContext.configure(conn).get_current_revision()
    scripts = _scripts()
    if found is None or _is_known(scripts, found):
        return None if found == scripts.get_current_head() else _OLDER
    return _too_new(scripts, found)


def migrate(conn: Connection) -> None:
    """Bring the schema to this program's; one that is ahead stays as it is, where both can live with it."""
    found = MigrationContext.configure(conn).get_current_revision()
    scripts = _scripts()
    if found is not None and not _is_known(scripts, found):
        too_new = _too_new(scripts, found)
        if too_new is not None:
            raise BroadcastError(str(too_new))
        return
    config = _alembic()
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def _too_new(scripts: ScriptDirectory, found: str) -> SchemaFault | None:
    """Judge a schema that this program has never heard of."""
    own = scripts.get_current_head() or ""
    same = found[:_GENERATION] == own[:_GENERATION]
    if re.fullmatch(r"\d{4}", found) and same and found > own:
        return None
    return SchemaFault(
        message=f"The database was made by another version: its schema is {found}, this program knows {own}.",
        fix="Install the version that made it, or restore a backup that this one made.",
    )


def _is_known(scripts: ScriptDirectory, revision: str) -> bool:
    return any(script.revision == revision for script in scripts.walk_revisions())


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic())


def _alembic() -> Config:
    spec = importlib.util.find_spec("migrations")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The package migrations is not installed.")
    config = Config()
    config.set_main_option("script_location", spec.submodule_search_locations[0].replace("%", "%%"))
    return config
