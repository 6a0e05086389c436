"""Who may change whose place in a workspace, and what ends with it."""

import itertools
import threading

import pytest

from broadcast.errors import Conflict, Forbidden, NotFound
from broadcast.members import ROLES, givable
from broadcast.store import Store, users
from broadcast.store.users import User
from tests.broadcast.people import People
from tests.broadcast.store.rows import NOW_US

REACH = {
    "owner": {"owner", "admin", "member", "viewer"},
    "admin": {"admin", "member", "viewer"},
    "member": set(),
    "viewer": set(),
    "stranger": set(),
}
"""The roles that each role may give, and whose holders it may change and remove."""


@pytest.fixture
def people(sqlite_store: Store) -> People:
    return People(store=sqlite_store)


def change(people: People, by: User, whom: User, role: str) -> None:
    people.accounts.change_role(
        workspace_id=people.team.id, user_id=by.id, member_uid=whom.uid, role=role, now_us=NOW_US
    )


def remove(people: People, by: User, whom: User) -> None:
    people.accounts.remove_member(
        workspace_id=people.team.id, user_id=by.id, member_uid=whom.uid, now_us=NOW_US
    )


def leave(people: People, who: User) -> None:
    people.accounts.leave(workspace_id=people.team.id, user=who, now_us=NOW_US)


@pytest.mark.parametrize("role", [*ROLES, None])
def test_owner_and_admin_give_roles_up_to_their_own(role: str | None) -> None:
    assert set(givable(role)) == REACH[role or "stranger"]


@pytest.mark.parametrize(("by", "old", "new"), list(itertools.product(REACH, ROLES, ROLES)))
def test_a_role_is_changed_only_within_the_reach_of_who_changes_it(
    people: People, by: str, old: str, new: str
) -> None:
    actor, other = people.member(by), people.member(old, name="other")

    if {old, new} <= REACH[by]:
        change(people, actor, other, new)
        assert people.role_of(other) == new
    else:
        with pytest.raises(Forbidden):
            change(people, actor, other, new)
        assert people.role_of(other) == old


@pytest.mark.parametrize(("by", "whom"), list(itertools.product(REACH, ROLES)))
def test_a_member_is_removed_only_within_the_reach_of_who_removes_them(
    people: People, by: str, whom: str
) -> None:
    actor, other = people.member(by), people.member(whom, name="other")

    if whom in REACH[by]:
        remove(people, actor, other)
        assert people.role_of(other) is None
    else:
        with pytest.raises(Forbidden):
            remove(people, actor, other)
        assert people.role_of(other) == whom


@pytest.mark.parametrize("role", ROLES)
def test_everybody_may_leave_where_another_owner_stays(people: People, role: str) -> None:
    person = people.member(role, name="person")

    leave(people, person)

    assert people.role_of(person) is None
    assert people.trail()[0].action == "member_left"


@pytest.mark.parametrize("role", ["admin", "member", "viewer"])
def test_the_last_owner_is_not_lowered(people: People, role: str) -> None:
    owner = people.member("owner")

    with pytest.raises(Conflict) as refused:
        change(people, owner, owner, role)

    assert refused.value.reason == "last_owner"
    assert "Make somebody else an owner first." in str(refused.value)
    assert people.role_of(owner) == "owner"


def test_the_last_owner_neither_leaves_nor_is_removed(people: People) -> None:
    owner = people.member("owner")

    with pytest.raises(Conflict):
        leave(people, owner)
    with pytest.raises(Conflict):
        remove(people, owner, owner)

    assert people.role_of(owner) == "owner"


def test_of_two_owners_who_leave_at_once_one_stays(store: Store) -> None:
    people = People(store=store)
    both = (people.member("owner"), people.member("owner", name="second"))
    ready, refused = threading.Barrier(2), []

    def go(person: User) -> None:
        ready.wait(10)
        try:
            leave(people, person)
        except Conflict as error:
            refused.append(error.reason)

    threads = [threading.Thread(target=go, args=(person,)) for person in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["last_owner"]
    assert sorted(str(people.role_of(person)) for person in both) == ["None", "owner"]


@pytest.mark.parametrize("by", ["owner", "admin"])
def test_with_a_member_their_management_keys_and_open_invitations_end(people: People, by: str) -> None:
    admin = people.member("admin")
    plain = {
        kind: people.accounts.make_key(
            workspace_id=people.team.id, user_id=admin.id, kind=kind, name=kind, now_us=NOW_US
        )[0]
        for kind in ("api", "management")
    }
    made = people.invitations.invite(people.team, admin, email="new@example.com", role="member")
    assert all(people.accounts.authenticate(key) for key in plain.values())

    remove(people, people.member(by), admin)

    assert people.accounts.authenticate(plain["management"]) is None
    assert people.accounts.authenticate(plain["api"]) is not None
    with pytest.raises(NotFound):
        people.invitations.look(people.token(made.link))
    assert people.trail()[0].detail == {"management_keys": 1}
    for thread in threading.enumerate():
        if thread.name == "key-used":
            thread.join()


def test_keys_of_another_workspace_outlive_a_leave(people: People) -> None:
    admin = people.member("admin")
    other = people.accounts.create_workspace(name="Own", owner=admin, now_us=NOW_US)
    plain, key = people.accounts.make_key(
        workspace_id=other.id, user_id=admin.id, kind="management", name="CI", now_us=NOW_US
    )

    leave(people, admin)

    with people.store.read() as conn:
        assert users.role_of(conn, other.id, admin.id) == "owner"
    assert people.accounts.key_of(other.id, key.hash).revoked_at_us is None
    with pytest.raises(NotFound):
        people.accounts.workspace_of(key, people.team.slug)
    assert plain.startswith("sk-mgmt-")


@pytest.mark.parametrize(
    ("old", "new"),
    [(old, new) for old, new in itertools.product(("owner", "admin"), ROLES) if new != old],
)
def test_who_is_lowered_has_no_open_invitations_any_more(people: People, old: str, new: str) -> None:
    owner, other = people.member("owner"), people.member(old, name="other")
    made = people.invitations.invite(people.team, other, email="new@example.com", role=old)

    change(people, owner, other, new)

    if ROLES.index(new) > ROLES.index(old):
        people.invitations.look(people.token(made.link))
    else:
        with pytest.raises(NotFound):
            people.invitations.look(people.token(made.link))


def test_an_owner_who_was_lowered_cannot_take_the_role_back(people: People) -> None:
    owner, second = people.member("owner"), people.member("owner", name="second")
    own_link = people.invitations.invite(people.team, second, email="spare@example.com", role="owner").link

    change(people, owner, second, "admin")

    with pytest.raises(NotFound):
        people.invitations.join(people.token(own_link), people.person("spare"))
    assert people.role_of(second) == "admin"


def test_a_left_workspace_is_no_longer_where_the_root_leads(people: People) -> None:
    viewer = people.member("viewer")
    with people.store.write() as conn:
        users.set_last_workspace(conn, viewer.id, people.team.id)

    leave(people, viewer)

    assert people.person("viewer").last_workspace_id is None


@pytest.mark.parametrize("role", ["", "root", "Owner"])
def test_a_role_that_does_not_exist_is_refused(people: People, role: str) -> None:
    with pytest.raises(Forbidden):
        change(people, people.member("owner"), people.member("viewer"), role)


def test_a_member_of_another_workspace_is_nobody_here(people: People) -> None:
    stranger = people.person("stranger")

    with pytest.raises(NotFound):
        change(people, people.member("owner"), stranger, "viewer")
    with pytest.raises(NotFound):
        remove(people, people.member("owner"), stranger)


def test_a_change_is_written_down_and_no_change_is_not(people: People) -> None:
    owner, viewer = people.member("owner"), people.member("viewer")

    change(people, owner, viewer, "member")
    change(people, owner, viewer, "member")

    first, second = people.trail()[:2]
    assert (first.action, first.email, first.target, first.detail) == (
        "member_role_changed", "owner@example.com", "viewer@example.com", {"from": "viewer", "to": "member"},
    )  # fmt: skip
    assert second.action == "workspace_created"
