"""Workspaces, users, roles, keys and login sessions."""

import pytest
from sqlalchemy.exc import IntegrityError

from broadcast.errors import Conflict
from broadcast.store import Conn, Store, keys, sessions, users, workspaces
from broadcast.store.keys import ApiKey
from tests.broadcast.store.rows import NOW_US, a_user, a_workspace


def a_key(conn: Conn, workspace_id: int, user_id: int, name: str = "Production", kind: str = "api") -> ApiKey:
    return keys.create(
        conn,
        workspace_id=workspace_id,
        user_id=user_id,
        kind=kind,
        hash=f"hash of {name}",
        verifier=f"verifier of {name}".encode(),
        name=name,
        label="sk-…abcd",
        scopes=("chat", "receipts:write"),
        now_us=NOW_US,
    )


def test_a_workspace_is_found_by_all_its_names(store: Store) -> None:
    with store.write() as conn:
        made = workspaces.create(conn, name="Zoë & Co.", content_key=b"k", demo=True, now_us=NOW_US)
        assert made.slug == "zoe-co"
        assert workspaces.by_id(conn, made.id) == made
        assert workspaces.by_uid(conn, made.uid) == made
        assert workspaces.by_slug(conn, "zoe-co") == made
        assert workspaces.all(conn) == [made]
        assert workspaces.count(conn) == 1
        assert workspaces.head_seq(conn, made.id) == 0


def test_a_slug_is_given_once_and_stays(store: Store) -> None:
    with store.write() as conn:
        slugs = [a_workspace(conn, "Team").slug for _ in range(3)]
        workspaces.change(conn, 1, name="Other", now_us=NOW_US)
        renamed = workspaces.by_id(conn, 1)
        assert workspaces.create(conn, name="日本", content_key=b"", demo=False, now_us=0).slug == "workspace"
    assert slugs == ["team", "team-2", "team-3"]
    assert renamed is not None
    assert (renamed.name, renamed.slug) == ("Other", "team")


def test_a_workspace_s_content_key_can_be_wrapped_anew(store: Store) -> None:
    with store.write() as conn:
        made = a_workspace(conn)
        workspaces.reseal(conn, made.id, b"anew")
        found = workspaces.by_id(conn, made.id)
    assert found is not None
    assert found.content_key == b"anew"
    assert "anew" not in repr(found)


def test_an_address_belongs_to_one_user_without_regard_to_case(store: Store) -> None:
    with store.write() as conn:
        ada = a_user(conn, "Ada@Example.com")
        assert users.by_email(conn, " ada@example.COM ") == ada
        assert users.by_id(conn, ada.id) == ada
        assert users.by_uid(conn, ada.uid) == ada
        assert users.count(conn) == 1
    with pytest.raises(Conflict, match="exists already"), store.write() as conn:
        a_user(conn, "ADA@example.com")


def test_a_user_remembers_the_last_workspace_and_a_new_password(store: Store) -> None:
    with store.write() as conn:
        ada, home = a_user(conn), a_workspace(conn)
        users.set_last_workspace(conn, ada.id, home.id)
        users.set_password(conn, ada.id, "new hash")
        found = users.by_id(conn, ada.id)
    assert found is not None
    assert (found.last_workspace_id, found.password_hash) == (home.id, "new hash")


def test_roles_hold_in_their_workspace_only(store: Store) -> None:
    with store.write() as conn:
        ada, home, other = a_user(conn), a_workspace(conn, "Home"), a_workspace(conn, "Other")
        users.add_member(conn, workspace_id=home.id, user_id=ada.id, role="admin")
        assert users.role_of(conn, home.id, ada.id) == "admin"
        assert users.role_of(conn, other.id, ada.id) is None
        assert [(item.id, role) for item, role in workspaces.for_user(conn, ada.id)] == [(home.id, "admin")]
        assert users.members(conn, home.id) == [(ada, "admin")]
        assert users.set_role(conn, workspace_id=home.id, user_id=ada.id, role="viewer")
        assert users.remove_member(conn, workspace_id=home.id, user_id=ada.id)
        assert not users.remove_member(conn, workspace_id=home.id, user_id=ada.id)


def test_there_are_four_roles(store: Store) -> None:
    with store.write() as conn:
        ada, home = a_user(conn), a_workspace(conn)
    with pytest.raises(IntegrityError), store.write() as conn:
        users.add_member(conn, workspace_id=home.id, user_id=ada.id, role="god")


def test_a_key_is_found_by_verifier_everywhere_and_by_hash_in_its_workspace(store: Store) -> None:
    with store.write() as conn:
        ada, home, other = a_user(conn), a_workspace(conn, "Home"), a_workspace(conn, "Other")
        key = a_key(conn, home.id, ada.id)
        assert keys.by_verifier(conn, b"verifier of Production") == key
        assert keys.by_verifier(conn, b"something else") is None
        assert keys.by_hash(conn, home.id, key.hash) == key
        assert keys.by_hash(conn, other.id, key.hash) is None
        assert key.scopes == ("chat", "receipts:write")


def test_only_the_key_s_own_workspace_can_change_it(store: Store) -> None:
    with store.write() as conn:
        ada, home, other = a_user(conn), a_workspace(conn, "Home"), a_workspace(conn, "Other")
        key = a_key(conn, home.id, ada.id)
        assert not keys.revoke(conn, other.id, key.id, NOW_US)
        assert not keys.change(conn, other.id, key.id, name="Mine", now_us=NOW_US)
        assert keys.change(conn, home.id, key.id, name="Staging", now_us=NOW_US)
        keys.touch_last_used(conn, key.id, NOW_US + 1)
        (found,) = keys.list_for(conn, home.id)
        assert (found.name, found.last_used_at_us) == ("Staging", NOW_US + 1)


def test_a_revoked_key_is_not_listed_but_still_known(store: Store) -> None:
    with store.write() as conn:
        ada, home = a_user(conn), a_workspace(conn)
        key = a_key(conn, home.id, ada.id)
        assert keys.revoke(conn, home.id, key.id, NOW_US)
        assert not keys.revoke(conn, home.id, key.id, NOW_US)
        assert keys.list_for(conn, home.id) == []
        found = keys.by_verifier(conn, key.verifier)
    assert found is not None
    assert found.revoked_at_us == NOW_US


def test_a_leaving_member_s_management_keys_end(store: Store) -> None:
    with store.write() as conn:
        ada, home = a_user(conn), a_workspace(conn)
        a_key(conn, home.id, ada.id, "App")
        a_key(conn, home.id, ada.id, "Boss", kind="management")
        assert keys.revoke_management_of(conn, home.id, ada.id, NOW_US) == 1
        assert [key.name for key in keys.list_for(conn, home.id)] == ["App"]


def test_a_session_lives_until_it_ends_or_is_ended(store: Store) -> None:
    with store.write() as conn:
        ada = a_user(conn)
        for name in ("one", "two"):
            sessions.create(
                conn, token_hash=name, user_id=ada.id, csrf="c", now_us=NOW_US, expires_at_us=NOW_US + 10
            )
        sessions.touch(conn, "one", NOW_US + 5, expires_at_us=NOW_US + 20)
        found = sessions.by_token_hash(conn, "one", NOW_US + 15)
        assert found is not None
        assert (found.user_id, found.seen_at_us) == (ada.id, NOW_US + 5)
        assert sessions.by_token_hash(conn, "two", NOW_US + 15) is None
        assert sessions.drop_expired(conn, NOW_US + 15) == 1
        sessions.delete(conn, "one")
        assert sessions.by_token_hash(conn, "one", NOW_US) is None
        sessions.create(
            conn, token_hash="three", user_id=ada.id, csrf="c", now_us=NOW_US, expires_at_us=NOW_US + 10
        )
        sessions.delete_for_user(conn, ada.id)
        assert sessions.by_token_hash(conn, "three", NOW_US) is None
