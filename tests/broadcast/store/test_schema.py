"""Which schema a program works on, and the law of migrations that lets two versions run side by side."""

import ast
import re
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect

from broadcast.errors import BroadcastError
from broadcast.store import Conn, Store, receipts
from tests.broadcast.store.rows import a_workspace, append_some

VERSIONS = Path(__file__).parents[3] / "migrations" / "versions"
AFTER_THE_FIRST = sorted(path for path in VERSIONS.glob("[0-9]*.py") if not path.stem.startswith("0001"))
# Who knows an index asks the same without it, and a key that nothing can break any more is not missed.
ADDING = {"create_table", "add_column", "create_index", "drop_index", "drop_constraint", "execute"}
READING = {"f", "get_bind"}


def stamp(store: Store, revision: str) -> None:
    """Let the database say that it is at a revision, as one that another version left would."""
    with store.write() as conn:
        conn.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")


def test_its_own_schema_is_no_fault(store: Store) -> None:
    assert store.schema_fault() is None


@pytest.mark.parametrize("revision", ["0001", "0003"])
def test_an_older_schema_has_to_be_migrated(store: Store, revision: str) -> None:
    stamp(store, revision)

    assert str(store.schema_fault()) == (
        "The database is not at this version's schema. Run: broadcast migrate"
    )


def test_a_later_schema_of_the_same_generation_is_as_good(store: Store) -> None:
    stamp(store, "0099")

    assert store.schema_fault() is None
    store.migrate()
    with store.read() as conn:
        assert conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0099"


@pytest.mark.parametrize("revision", ["0100", "4201", "abcdef123456", "0000"])
def test_any_other_schema_is_refused_with_what_to_do(store: Store, revision: str) -> None:
    stamp(store, revision)

    fault = str(store.schema_fault())
    assert f"its schema is {revision}" in fault
    assert "Install the version that made it, or restore a backup" in fault
    with pytest.raises(BroadcastError, match="made by another version"):
        store.migrate()


@pytest.mark.parametrize("path", AFTER_THE_FIRST, ids=lambda path: path.stem)
def test_a_migration_of_this_generation_takes_nothing_away(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    done = [
        call
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "op"
    ]
    names = {call.func.attr for call in done if isinstance(call.func, ast.Attribute)}
    assert names <= ADDING | READING, (
        f"{names - ADDING} may break the version before: begin the next generation"
    )
    for call in done:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add_column":
            column = ast.unparse(call.args[1])
            filled = "nullable=False" not in column or "server_default=" in column
            assert filled, f"{column}: a process of the version before does not fill it"
        if isinstance(call.func, ast.Attribute) and call.func.attr == "drop_index":
            assert "'ix_" in ast.unparse(call.args[0]), "An index that keeps rows apart does not go."
        if isinstance(call.func, ast.Attribute) and call.func.attr == "drop_constraint":
            assert "type_='foreignkey'" in ast.unparse(call), "What a row may hold stays as it is."
        if isinstance(call.func, ast.Attribute) and call.func.attr == "execute":
            statement = ast.literal_eval(call.args[0])
            stored_only = re.fullmatch(r"ALTER TABLE \w+ SET \(fillfactor = \d+\)", statement)
            assert stored_only or statement.startswith("INSERT INTO "), "What is there stays as it is."


def migrate_to(conn: Conn, revision: str) -> None:
    """Bring the database to an earlier schema, as a version before left it."""
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    config.attributes["connection"] = conn
    command.upgrade(config, revision)


def test_a_log_is_whole_when_its_foreign_keys_were_let_go(empty_database_url: str) -> None:
    store = Store.open(empty_database_url)
    with store.write() as conn:
        migrate_to(conn, "0012")
        workspace = a_workspace(conn)
        append_some(conn, workspace.id, 3)

    store.migrate()

    with store.write() as conn:
        append_some(conn, workspace.id, 2)
    with store.read() as conn:
        found = inspect(conn)
        assert [row.seq for row in receipts.read_after(conn, workspace.id, 0, 10)] == [1, 2, 3, 4, 5]
        assert found.get_foreign_keys("receipts") == found.get_foreign_keys("contents") == []
        if store.dialect == "sqlite":
            assert conn.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    store.close()


def test_where_sqlite_guards_its_schema_the_foreign_keys_stay(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'broadcast.db'}")
    with store.write() as conn:
        migrate_to(conn, "0012")
    with store.write() as conn:
        raw = conn.connection.driver_connection
        assert raw is not None
        raw.set_authorizer(_guard)
        migrate_to(conn, "0013")
        raw.set_authorizer(None)

    with store.read() as conn:
        assert [key["referred_table"] for key in inspect(conn).get_foreign_keys("receipts")] == ["workspaces"]
    with store.write() as conn:
        append_some(conn, a_workspace(conn).id, 1)
    store.close()


def _guard(action: int, table: str | None, column: str | None, *_: str | None) -> int:
    """Let no table's own text be changed, as SQLite itself does where it is built so."""
    guarded = (action, table, column) == (sqlite3.SQLITE_UPDATE, "sqlite_master", "sql")
    return sqlite3.SQLITE_DENY if guarded else sqlite3.SQLITE_OK


def test_every_revision_is_four_digits_and_follows_the_one_before() -> None:
    found = [
        re.findall(r"^(?:down_)?revision = (.+)$", path.read_text(), re.MULTILINE) for path in AFTER_THE_FIRST
    ]
    own = [revisions[0].strip("\"'") for revisions in found]
    before = [revisions[1].strip("\"'") for revisions in found]
    assert all(re.fullmatch(r"\d{4}", revision) for revision in own)
    assert before == ["0001", *own[:-1]]
