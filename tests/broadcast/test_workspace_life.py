"""Workspaces made, changed and deleted, with everything that belongs to them."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Table, func, insert, select

from broadcast import retention
from broadcast.accounts import Accounts
from broadcast.errors import Conflict, Forbidden, NotFound, SettingsError
from broadcast.retention import Retention
from broadcast.store import Store, audit, destinations, users, workspaces
from broadcast.store.tables import metadata
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace
from broadcast.vault import KeyRing, Vault, new_key
from tests.broadcast.store.rows import NOW_US, a_destination, a_receipt, append

VAULT = Vault(KeyRing.parse(new_key()))


@dataclass(kw_only=True)
class World:
    store: Store
    accounts: Accounts
    ann: User
    bob: User
    home: Workspace

    def workspace(self, uid: str) -> Workspace | None:
        with self.store.read() as conn:
            return workspaces.by_uid(conn, uid)

    def delete(self, workspace: Workspace) -> None:
        self.accounts.delete_workspace(workspace, self.ann.id, now_us=NOW_US)

    def retain(self, now_us: int) -> None:
        """Run a round of retention, each step in a transaction of its own."""
        keeper, more = Retention(retention_us=30 * 86_400_000_000, holder="worker-1"), True
        while more:
            with self.store.write() as conn:
                more = keeper.step(conn, now_us)


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    accounts = Accounts(store, b"s" * 32, VAULT, lambda: NOW_US)
    ann, bob = (
        accounts.create_user(email=f"{name}@example.com", password="correct horse", now_us=NOW_US)
        for name in ("ann", "bob")
    )
    home = accounts.create_workspace(name="Home", owner=ann, now_us=NOW_US)
    yield World(store=store, accounts=accounts, ann=ann, bob=bob, home=home)
    for thread in threading.enumerate():
        if thread.name == "key-used":
            thread.join()


def fill(world: World, workspace: Workspace) -> str:
    """Give a workspace one row at least of everything it can own, and return an API key of it."""
    plain, _ = world.accounts.make_key(
        workspace_id=workspace.id, user_id=world.ann.id, kind="api", name="App", now_us=NOW_US
    )
    with world.store.write() as conn:
        users.set_last_workspace(conn, world.ann.id, workspace.id)
        destination_id = a_destination(conn, workspace.id)
        append(conn, workspace.id, *(a_receipt(f"gen-{number}", content=b"sealed") for number in range(1200)))
        for table in metadata.sorted_tables:
            if (
                _owner(table) is not None
                and not conn.execute(select(func.count()).select_from(table)).scalar()
            ):
                conn.execute(insert(table).values(_row(table, workspace.id, destination_id)))
    return plain


def _row(table: Table, workspace_id: int, destination_id: int) -> dict[str, object]:
    """Return any row of a table that a workspace owns."""
    words = {"kind": "needs_attention", "source": "range", "state": "done", "role": "viewer"}
    owners = {"workspace_id": workspace_id, "destination_id": destination_id, "invited_by": 1}
    values: dict[str, object] = {}
    for column in table.columns:
        if column.nullable and column.name not in owners:
            continue
        kind = column.type.python_type
        empty: object = f"{workspace_id}" if kind is str else kind()
        values[column.name] = owners.get(column.name, words.get(column.name, empty))
    return {name: value for name, value in values.items() if name != "id"}


def _owner(table: Table) -> str | None:
    """Return the column by which a table belongs to a workspace; a user only remembers one."""
    if table.name == "users":
        return None
    return next((name for name in ("workspace_id", "destination_id") if name in table.columns), None)


def rows(store: Store) -> dict[str, int]:
    """Return how many rows each table has that belongs to workspaces, and the workspaces themselves."""
    with store.read() as conn:
        return {
            table.name: conn.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name == "workspaces" or _owner(table) is not None
        }


# -- made and changed ------------------------------------------------------------------------------


def test_who_makes_a_workspace_owns_it(world: World) -> None:
    made = world.accounts.create_workspace(
        name=" Search ", owner=world.bob, slug="find-it", description="Ours", now_us=NOW_US
    )

    assert (made.name, made.slug, made.description, made.created_by) == (
        "Search", "find-it", "Ours", world.bob.uid,
    )  # fmt: skip
    assert world.accounts.require_role(world.bob.id, made.id, "owner") == "owner"
    assert world.workspace(made.uid) == made


def test_the_first_log_in_of_its_owner_is_written_down(world: World) -> None:
    world.accounts.log_in("ann@example.com", "correct horse", "192.0.2.1", NOW_US)

    with world.store.read() as conn:
        assert audit.list_for(conn, world.home.id, 1)[0].action == "login"


def test_a_slug_belongs_to_one_workspace(world: World) -> None:
    with pytest.raises(Conflict) as refused:
        world.accounts.create_workspace(name="Other", owner=world.bob, slug=world.home.slug, now_us=NOW_US)
    other = world.accounts.create_workspace(name="Other", owner=world.bob, now_us=NOW_US)
    with pytest.raises(Conflict):
        world.accounts.change_workspace(other, world.bob.id, {"slug": "home"}, now_us=NOW_US)

    assert (refused.value.field, refused.value.reason) == ("slug", "slug_taken")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 101),
        ("name", "two\nlines"),
        ("slug", ""),
        ("slug", "Upper"),
        ("slug", "-edge"),
        ("slug", "two--hyphens"),
        ("slug", "~" + "0" * 8),
        ("slug", "x" * 49),
        ("description", "x" * 501),
    ],
)
def test_what_is_wrong_is_named_and_nothing_changes(world: World, field: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        world.accounts.change_workspace(world.home, world.ann.id, {field: value}, now_us=NOW_US)

    assert refused.value.problems.keys() == {field}
    assert world.workspace(world.home.uid) == world.home


def test_a_change_is_written_down(world: World) -> None:
    changed = world.accounts.change_workspace(
        world.home, world.ann.id, {"name": "House", "slug": "house", "description": ""}, now_us=NOW_US + 1
    )

    assert (changed.name, changed.slug, changed.description) == ("House", "house", None)
    assert changed.updated_at_us == NOW_US + 1
    with world.store.read() as conn:
        assert audit.list_for(conn, world.home.id, 1)[0].action == "workspace_renamed"


def test_a_key_finds_a_workspace_by_id_and_by_slug(world: World) -> None:
    _, key = world.accounts.make_key(
        workspace_id=world.home.id, user_id=world.ann.id, kind="management", name="CI", now_us=NOW_US
    )
    other = world.accounts.create_workspace(name="Other", owner=world.ann, now_us=NOW_US)
    foreign = world.accounts.create_workspace(name="Foreign", owner=world.bob, now_us=NOW_US)

    assert world.accounts.workspace_of(key, other.uid) == world.accounts.workspace_of(key, other.slug)
    assert world.accounts.managed_by(world.ann.id) == [world.home, other]
    with pytest.raises(NotFound):
        world.accounts.workspace_of(key, foreign.slug)


# -- deleted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["admin", "member", "viewer", None])
def test_only_an_owner_deletes(world: World, role: str | None) -> None:
    if role:
        with world.store.write() as conn:
            users.add_member(conn, workspace_id=world.home.id, user_id=world.bob.id, role=role)

    with pytest.raises(Forbidden):
        world.accounts.delete_workspace(world.home, world.bob.id, now_us=NOW_US)

    assert world.workspace(world.home.uid) == world.home


def test_a_deleted_workspace_is_out_of_reach_at_once_and_keeps_no_secret(world: World) -> None:
    plain = fill(world, world.home)
    assert world.accounts.authenticate(plain) is not None

    world.delete(world.home)

    assert world.accounts.authenticate(plain) is None
    assert world.accounts.managed_by(world.ann.id) == []
    with world.store.read() as conn:
        assert workspaces.by_slug(conn, world.home.slug) is None
        assert workspaces.all(conn) == []
        assert destinations.list_for(conn, world.home.id) == []
        ann = users.by_id(conn, world.ann.id)
        table = metadata.tables["workspaces"]
        assert conn.execute(select(table.c.content_key)).scalar_one() == b""
    assert ann is not None
    assert ann.last_workspace_id is None
    with pytest.raises(NotFound):
        world.delete(world.home)


def test_the_slug_of_a_deleted_workspace_is_free(world: World) -> None:
    world.delete(world.home)

    again = world.accounts.create_workspace(name="Home", owner=world.ann, slug="home", now_us=NOW_US)
    world.delete(again)

    assert world.accounts.create_workspace(name="Home", owner=world.ann, now_us=NOW_US).slug == "home"


def test_every_row_of_a_deleted_workspace_goes_in_small_steps_and_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, world.home)
    assert min(rows(world.store).values()) > 0, "a table that a workspace owns is not tried"
    world.delete(world.home)
    other = world.accounts.create_workspace(name="Other", owner=world.ann, now_us=NOW_US)
    alone = rows(world.store)

    world.retain(NOW_US + retention.DEPARTED_US)
    assert rows(world.store)["receipts"] == alone["receipts"], "nobody may be in the middle of something"
    world.retain(NOW_US + retention.DEPARTED_US + 1)

    left = {name: count for name, count in rows(world.store).items() if count}
    # The other one's row, head and member; who deleted what is told without a workspace.
    assert left == {"workspaces": 1, "heads": 1, "memberships": 1, "audit_log": 2}
    assert world.workspace(other.uid) == other
    with world.store.read() as conn:
        table = metadata.tables["audit_log"]
        told = conn.execute(select(table).where(table.c.workspace_id.is_(None))).one()
    assert (told.action, told.target, told.user_id) == ("workspace_deleted", world.home.uid, world.ann.id)
