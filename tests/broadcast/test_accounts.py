import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from broadcast import credentials
from broadcast.accounts import ABSOLUTE_US, IDLE_US, Accounts
from broadcast.errors import Conflict, Forbidden, NotFound, SettingsError, TooManyRequests
from broadcast.store import Store, audit, keys, users, workspaces
from broadcast.vault import KeyRing, Vault, new_key

NOW = 1_795_254_068_000_000
MINUTE = 60_000_000
VAULT = Vault(KeyRing.parse(new_key()))
PASSWORD = "correct horse"


@dataclass
class Clock:
    now_us: int = NOW

    def __call__(self) -> int:
        return self.now_us


@dataclass(kw_only=True)
class World:
    store: Store
    accounts: Accounts
    clock: Clock = field(default_factory=Clock)

    def made(self, **more: bool) -> dict[str, Any]:
        return self.accounts.bootstrap(
            email="Ann@Example.com",
            password=PASSWORD,
            workspace="Team",
            new_keys=more.get("new_keys", False),
            now_us=self.clock.now_us,
        )

    def log_in(self, password: str = PASSWORD, address: str = "192.0.2.1") -> str | None:
        return self.accounts.log_in("ann@example.com", password, address, self.clock.now_us)


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    clock = Clock()
    yield World(store=store, accounts=Accounts(store, b"s" * 32, VAULT, clock), clock=clock)
    for thread in threading.enumerate():
        if thread.name == "key-used":
            thread.join()


def test_the_first_start_makes_everything_and_the_second_changes_nothing(world: World) -> None:
    first, second = world.made(), world.made()
    assert first["api_key"].startswith("sk-")
    assert first["management_key"].startswith("sk-mgmt-")
    assert len(first["api_key"]) == 46
    assert first["workspace_slug"] == "team"
    assert (second["api_key"], second["management_key"]) == (None, None)
    assert second["workspace_id"] == first["workspace_id"]


def test_new_keys_are_made_when_asked_for_and_the_old_ones_stay(world: World) -> None:
    first, second = world.made(), world.made(new_keys=True)
    assert second["api_key"] != first["api_key"]
    assert world.accounts.authenticate(first["api_key"]) is not None


def test_another_password_ends_every_session_of_the_user(world: World) -> None:
    world.made()
    token = world.log_in() or ""
    world.accounts.bootstrap(
        email="ann@example.com", password="another horse", workspace="Team", new_keys=False, now_us=NOW
    )
    assert world.accounts.user_of_session(token, NOW) is None
    assert world.log_in("another horse") is not None


def test_the_same_password_again_leaves_sessions_alone(world: World) -> None:
    world.made()
    token = world.log_in() or ""
    world.made()
    assert world.accounts.user_of_session(token, NOW) is not None


def test_the_demo_is_made_only_where_no_workspace_exists(world: World) -> None:
    made = world.accounts.ensure_demo(NOW)
    assert made is not None
    assert world.accounts.log_in(made.email, made.password, "::1", NOW) is not None
    assert made.password not in repr(made)
    assert world.accounts.ensure_demo(NOW) is None


def test_a_login_gives_a_session_with_a_secret_for_its_forms(world: World) -> None:
    world.made()
    token = world.log_in()
    assert token is not None
    session = world.accounts.user_of_session(token, NOW)
    assert session is not None
    assert session.user.email == "ann@example.com"
    assert len(session.csrf) == 43
    world.accounts.log_out(token)
    assert world.accounts.user_of_session(token, NOW) is None


def test_unknown_users_and_wrong_passwords_get_one_answer(world: World) -> None:
    world.made()
    assert world.log_in("wrong password") is None
    assert world.accounts.log_in("nobody@example.com", PASSWORD, "192.0.2.1", NOW) is None


def test_a_session_ends_when_idle_and_after_a_week_in_any_case(world: World) -> None:
    world.made()
    token = world.log_in() or ""
    assert world.accounts.user_of_session(token, NOW + IDLE_US) is None
    now_us = NOW
    while now_us + IDLE_US // 2 < NOW + ABSOLUTE_US:
        now_us += IDLE_US // 2
        assert world.accounts.user_of_session(token, now_us) is not None
    assert world.accounts.user_of_session(token, NOW + ABSOLUTE_US) is None


def test_ten_wrong_passwords_close_an_account_for_a_while(world: World) -> None:
    world.made()
    for number in range(10):
        assert world.log_in("wrong password", f"192.0.2.{number}") is None
    with pytest.raises(TooManyRequests) as refused:
        world.log_in(address="192.0.2.99")
    assert 0 < refused.value.retry_after_s <= 900
    world.clock.now_us += 16 * MINUTE
    assert world.log_in() is not None


def test_ten_tries_from_one_address_close_the_address(world: World) -> None:
    for number in range(10):
        world.accounts.log_in(f"user{number}@example.com", "wrong password", "192.0.2.1", NOW)
    with pytest.raises(TooManyRequests):
        world.accounts.log_in("other@example.com", "wrong password", "192.0.2.1", NOW)


def test_good_logins_do_not_count(world: World) -> None:
    world.made()
    assert all(world.log_in() for _ in range(12))


def test_only_known_keys_are_let_in(world: World) -> None:
    key = world.accounts.authenticate(world.made()["api_key"])
    assert key is not None
    assert (key.kind, set(key.scopes)) == ("api", {"chat", "receipts:write", "usage:read"})
    for wrong in ("", "sk-", "sk-" + "x" * 43, "x" * 46, "sk-" + "ü" * 43):
        assert world.accounts.authenticate(wrong) is None


def test_the_key_itself_is_stored_nowhere(world: World) -> None:
    plain = world.made()["api_key"]
    with world.store.read() as conn:
        [workspace] = workspaces.all(conn)
        found = keys.list_for(conn, workspace.id)
    assert credentials.public_hash(plain) in {key.hash for key in found}
    assert plain not in repr(found)
    assert all(plain.encode() not in key.verifier for key in found)


def test_a_revoked_key_ends_at_once_here_and_in_two_seconds_elsewhere(world: World) -> None:
    plain = world.made()["api_key"]
    elsewhere = Accounts(world.store, b"s" * 32, VAULT, world.clock)
    key = world.accounts.authenticate(plain)
    assert key is not None
    assert elsewhere.authenticate(plain) is not None
    world.accounts.revoke_key(
        workspace_id=key.workspace_id, user_id=key.user_id, key_hash=key.hash, now_us=NOW
    )
    assert world.accounts.authenticate(plain) is None
    world.clock.now_us += 2_000_000
    assert elsewhere.authenticate(plain) is None


def test_a_key_that_is_switched_off_opens_nothing_until_it_is_on_again(world: World) -> None:
    plain = world.made()["api_key"]
    elsewhere = Accounts(world.store, b"s" * 32, VAULT, world.clock)
    key = world.accounts.authenticate(plain)
    assert key is not None
    assert elsewhere.authenticate(plain) is not None

    def change(*, disabled: bool) -> None:
        world.accounts.change_key(
            workspace_id=key.workspace_id,
            user_id=key.user_id,
            key_hash=key.hash,
            changes={"disabled": disabled},
            now_us=NOW,
        )

    change(disabled=True)
    assert world.accounts.authenticate(plain) is None
    world.clock.now_us += 2_000_000
    assert elsewhere.authenticate(plain) is None
    change(disabled=False)
    assert world.accounts.authenticate(plain) is not None


def test_a_change_of_a_key_is_checked_and_written_down(world: World) -> None:
    key = world.accounts.authenticate(world.made()["api_key"])
    assert key is not None
    mine: dict[str, Any] = {"workspace_id": key.workspace_id, "user_id": key.user_id, "now_us": NOW}
    for wrong in ({"name": " "}, {"name": "x" * 101}, {"expires_at_us": NOW}):
        with pytest.raises(SettingsError):
            world.accounts.change_key(key_hash=key.hash, changes=wrong, **mine)
    with pytest.raises(NotFound):
        world.accounts.change_key(key_hash="0" * 64, changes={"name": "x"}, **mine)

    changes = {"name": " Build ", "expires_at_us": NOW + 1}
    changed = world.accounts.change_key(key_hash=key.hash, changes=changes, **mine)

    assert (changed.name, changed.expires_at_us, changed.updated_at_us) == ("Build", NOW + 1, NOW)
    world.accounts.revoke_key(key_hash=key.hash, **mine)
    with pytest.raises(NotFound):
        world.accounts.change_key(key_hash=key.hash, changes={"name": "Back"}, **mine)
    with world.store.read() as conn:
        actions = [entry.action for entry in audit.list_for(conn, key.workspace_id, 2)]
    assert actions == ["key_revoked", "key_changed"]


def test_a_key_ends_when_its_time_is_over(world: World) -> None:
    key = world.accounts.authenticate(world.made()["api_key"])
    assert key is not None
    plain, _ = world.accounts.make_key(
        workspace_id=key.workspace_id,
        user_id=key.user_id,
        kind="api",
        name="Short",
        expires_at_us=NOW + 10,
        now_us=NOW,
    )
    assert world.accounts.authenticate(plain) is not None
    assert world.accounts.resting(plain) is None
    world.clock.now_us += 10
    assert world.accounts.authenticate(plain) is None
    resting = world.accounts.resting(plain)
    assert resting is not None
    assert resting.name == "Short"


def test_a_revoked_or_unknown_key_is_nobodys(world: World) -> None:
    made = world.made()["api_key"]
    key = world.accounts.authenticate(made)
    assert key is not None
    world.accounts.revoke_key(
        workspace_id=key.workspace_id, user_id=key.user_id, key_hash=key.hash, now_us=NOW
    )
    assert world.accounts.resting(made) is None
    assert world.accounts.resting("sk-" + "x" * 43) is None


def test_another_pepper_knows_no_key(world: World) -> None:
    plain = world.made()["api_key"]
    assert Accounts(world.store, b"t" * 32, VAULT, world.clock).authenticate(plain) is None


def test_a_management_key_reaches_every_workspace_its_maker_manages(world: World) -> None:
    key = world.accounts.authenticate(world.made()["management_key"])
    assert key is not None
    with world.store.read() as conn:
        ann = users.by_id(conn, key.user_id)
    assert ann is not None
    second = world.accounts.create_workspace(name="Second", owner=ann, now_us=NOW)
    bob = world.accounts.create_user(email="bob@example.com", password=PASSWORD, now_us=NOW)
    foreign = world.accounts.create_workspace(name="Foreign", owner=bob, now_us=NOW)
    assert world.accounts.workspace_of(key).slug == "team"
    assert world.accounts.workspace_of(key, second.uid).id == second.id
    with pytest.raises(NotFound):
        world.accounts.workspace_of(key, foreign.uid)


def test_a_management_key_ends_with_its_makers_role(world: World) -> None:
    key = world.accounts.authenticate(world.made()["management_key"])
    assert key is not None
    with world.store.write() as conn:
        users.set_role(conn, workspace_id=key.workspace_id, user_id=key.user_id, role="member")
    with pytest.raises(Forbidden):
        world.accounts.workspace_of(key)
    with pytest.raises(Forbidden):
        world.accounts.require_sender(key)


def test_an_api_key_belongs_to_the_workspace_and_outlives_its_makers_role(world: World) -> None:
    key = world.accounts.authenticate(world.made()["api_key"])
    assert key is not None
    with world.store.write() as conn:
        users.remove_member(conn, workspace_id=key.workspace_id, user_id=key.user_id)
    world.accounts.require_sender(key)
    assert world.accounts.workspace_of(key).slug == "team"


def test_roles_are_ranked_and_strangers_see_nothing(world: World) -> None:
    key = world.accounts.authenticate(world.made()["api_key"])
    assert key is not None
    bob = world.accounts.create_user(email="bob@example.com", password=PASSWORD, now_us=NOW)
    with pytest.raises(NotFound):
        world.accounts.require_role(bob.id, key.workspace_id, "viewer")
    with world.store.write() as conn:
        users.add_member(conn, workspace_id=key.workspace_id, user_id=bob.id, role="member")
    assert world.accounts.require_role(bob.id, key.workspace_id, "member") == "member"
    with pytest.raises(Forbidden):
        world.accounts.require_role(bob.id, key.workspace_id, "admin")


def test_logins_and_keys_are_written_down(world: World) -> None:
    key = world.accounts.authenticate(world.made()["api_key"])
    assert key is not None
    world.accounts.revoke_key(
        workspace_id=key.workspace_id, user_id=key.user_id, key_hash=key.hash, now_us=NOW
    )
    with world.store.read() as conn:
        actions = [entry.action for entry in audit.list_for(conn, key.workspace_id, 10)]
    assert actions == ["key_revoked", "key_created", "key_created", "workspace_created"]


def test_an_address_is_one_users_and_a_password_has_a_length(world: World) -> None:
    world.made()
    with pytest.raises(Conflict):
        world.accounts.create_user(email="ANN@example.com", password=PASSWORD, now_us=NOW)
    with pytest.raises(SettingsError) as refused:
        world.accounts.create_user(email="nobody", password="short", now_us=NOW)
    assert refused.value.problems.keys() == {"email", "password"}


def test_four_tests_run_at_once_and_thirty_a_minute(world: World) -> None:
    with world.accounts.testing(1, NOW), world.accounts.testing(1, NOW), world.accounts.testing(1, NOW):
        with world.accounts.testing(1, NOW), pytest.raises(TooManyRequests):
            world.accounts.testing(1, NOW).__enter__()
        with world.accounts.testing(1, NOW), world.accounts.testing(2, NOW):
            pass
    for _ in range(24):
        with world.accounts.testing(1, NOW):
            pass
    with pytest.raises(TooManyRequests):
        world.accounts.testing(1, NOW).__enter__()


def test_a_whole_workspace_is_tested_in_one_place_six_times_a_minute(world: World) -> None:
    with contextlib.ExitStack() as held:
        for place in (world.accounts.testing_whole, *[world.accounts.testing] * 3):
            held.enter_context(place(1, NOW))
        with pytest.raises(TooManyRequests):
            world.accounts.testing_whole(1, NOW).__enter__()
    for _ in range(4):
        with world.accounts.testing_whole(1, NOW):
            pass
    with pytest.raises(TooManyRequests):
        world.accounts.testing_whole(1, NOW).__enter__()
    with world.accounts.testing(1, NOW), world.accounts.testing_whole(2, NOW):
        pass
