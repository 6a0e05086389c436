"""Joining a workspace by a link: who makes one, what it opens, and for how long."""

import contextlib
import itertools
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from broadcast.errors import Conflict, Forbidden, NotFound, SettingsError, TooManyRequests
from broadcast.invitations import DAYS, Made
from broadcast.mail import Mailer
from broadcast.mail import MailServer as Address
from broadcast.members import ROLES
from broadcast.store import Store, users
from broadcast.store.people_tables import invitations as table
from broadcast.store.users import User
from tests.broadcast.people import ADDRESS, PASSWORD, PUBLIC_URL, People
from tests.broadcast.test_members import REACH
from tests.mail_server import MailServer

WEEK_US = 7 * 86_400_000_000


@pytest.fixture
def people(sqlite_store: Store) -> People:
    return People(store=sqlite_store)


@pytest.fixture
def post_office() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def invite(people: People, email: str = "new@example.com", role: str = "member") -> Made:
    return people.invitations.invite(people.team, people.member("owner"), email=email, role=role)


def users_count(people: People) -> int:
    with people.store.read() as conn:
        return users.count(conn)


@pytest.mark.parametrize(("by", "role"), list(itertools.product(REACH, ROLES)))
def test_owner_and_admin_invite_with_a_role_up_to_their_own(people: People, by: str, role: str) -> None:
    inviter = people.member(by)

    if role in REACH[by]:
        made = people.invitations.invite(people.team, inviter, email="new@example.com", role=role)
        assert people.invitations.join(people.token(made.link), people.person("new")) == people.team
        assert people.role_of(people.person("new")) == role
    else:
        with pytest.raises(Forbidden):
            people.invitations.invite(people.team, inviter, email="new@example.com", role=role)


@pytest.mark.parametrize(("by", "role"), list(itertools.product(REACH, ROLES)))
def test_an_invitation_is_revoked_by_who_could_have_made_it(people: People, by: str, role: str) -> None:
    made = invite(people, role=role)
    actor = people.member(by)

    if role in REACH[by]:
        people.invitations.revoke(people.team.id, actor.id, made.invitation.uid)
        assert people.invitations.open_in(people.team.id) == []
    else:
        with pytest.raises(Forbidden):
            people.invitations.revoke(people.team.id, actor.id, made.invitation.uid)
        assert people.invitations.look(people.token(made.link))[0] == made.invitation


def test_a_link_is_shown_once_and_its_hash_alone_is_kept(store: Store) -> None:
    people = People(store=store)

    made = invite(people, email=" New@Example.COM ")

    assert made.link.startswith(f"{PUBLIC_URL}/join/")
    assert made.invitation.email == "new@example.com"
    with store.read() as conn:
        (row,) = conn.execute(select(table)).all()
    assert people.token(made.link) not in str(row) + repr(made)
    assert people.invitations.open_in(people.team.id) == [(made.invitation, "owner@example.com")]


def test_a_link_works_once(store: Store) -> None:
    people = People(store=store)
    token = people.token(invite(people).link)

    people.invitations.join(token, people.person("first"))

    with pytest.raises(NotFound) as refused:
        people.invitations.join(token, people.person("second"))
    assert str(refused.value).endswith("Ask for a new one.")
    assert people.role_of(people.person("second")) is None
    assert people.invitations.open_in(people.team.id) == []


def test_a_link_ends_after_a_week(people: People) -> None:
    token = people.token(invite(people).link)
    assert DAYS * 86_400_000_000 == WEEK_US

    people.clock.now_us += WEEK_US - 1
    people.invitations.look(token)
    people.clock.now_us += 1

    with pytest.raises(NotFound):
        people.invitations.look(token)
    with pytest.raises(NotFound):
        people.invitations.join(token, people.person("new"))


def test_a_second_link_for_an_address_ends_the_first(people: People) -> None:
    first, second = invite(people), invite(people, role="viewer")

    with pytest.raises(NotFound):
        people.invitations.look(people.token(first.link))
    assert people.invitations.look(people.token(second.link))[0].role == "viewer"


@pytest.mark.parametrize(("by", "role"), list(itertools.product(("owner", "admin"), ROLES)))
def test_a_link_is_replaced_only_by_who_could_have_made_it(people: People, by: str, role: str) -> None:
    first = invite(people, role=role)
    inviter = people.member(by)

    if role in REACH[by]:
        people.invitations.invite(people.team, inviter, email="new@example.com", role="viewer")
        with pytest.raises(NotFound):
            people.invitations.look(people.token(first.link))
    else:
        with pytest.raises(Forbidden) as refused:
            people.invitations.invite(people.team, inviter, email="new@example.com", role="viewer")
        assert str(refused.value) == "Your role does not reach the invitation that is open for this address."
        assert people.invitations.look(people.token(first.link))[0] == first.invitation


def test_a_link_whose_time_is_over_is_in_nobodys_way(people: People) -> None:
    invite(people, role="owner")
    people.clock.now_us += WEEK_US

    made = people.invitations.invite(
        people.team, people.member("admin"), email="new@example.com", role="viewer"
    )

    assert [found for found, _ in people.invitations.open_in(people.team.id)] == [made.invitation]


def test_a_deleted_workspace_cannot_be_joined(store: Store) -> None:
    people = People(store=store)
    token = people.token(invite(people).link)

    people.accounts.delete_workspace(people.team, people.member("owner").id, now_us=people.clock())

    with pytest.raises(NotFound):
        people.invitations.join(token, people.person("new"))


def test_who_is_a_member_keeps_their_role_and_the_link_stays(people: People) -> None:
    token = people.token(invite(people, role="viewer").link)

    people.invitations.join(token, people.member("admin"))

    assert people.role_of(people.member("admin")) == "admin"
    assert people.invitations.look(token)[0].role == "viewer"


# -- with a password -------------------------------------------------------------------------------


def test_a_new_person_gets_an_account_and_is_logged_in(store: Store) -> None:
    people = People(store=store)
    token = people.token(invite(people).link)

    found = people.invitations.join_with_password(token, PASSWORD, ADDRESS)

    assert found is not None
    session, workspace = found
    logged_in = people.accounts.user_of_session(session, people.clock())
    assert logged_in is not None
    assert (logged_in.user.email, workspace) == ("new@example.com", people.team)
    assert people.role_of(logged_in.user) == "member"
    assert logged_in.user.last_workspace_id == people.team.id


@pytest.mark.parametrize("tried", ["the address", "from this place"])
def test_a_new_person_joins_although_others_failed_to_log_in(people: People, tried: str) -> None:
    token = people.token(invite(people).link)
    for number in range(11):
        email = "new@example.com" if tried == "the address" else f"other{number}@example.com"
        with contextlib.suppress(TooManyRequests):
            people.accounts.log_in(email, "wrong horse", ADDRESS, people.clock())
    with pytest.raises(TooManyRequests):
        people.accounts.log_in("new@example.com", PASSWORD, ADDRESS, people.clock())

    found = people.invitations.join_with_password(token, PASSWORD, ADDRESS)

    assert found is not None
    assert people.role_of(people.person("new")) == "member"


def test_an_account_joins_with_its_own_password_alone(people: People) -> None:
    people.accounts.create_user(email="new@example.com", password=PASSWORD, now_us=people.clock())
    token = people.token(invite(people).link)

    assert people.invitations.join_with_password(token, "another horse", ADDRESS) is None
    assert people.role_of(people.person("new")) is None
    found = people.invitations.join_with_password(token, PASSWORD, ADDRESS)

    assert found is not None
    assert people.role_of(people.person("new")) == "member"


def test_a_bad_password_makes_no_account_and_leaves_the_link(people: People) -> None:
    token, before = people.token(invite(people).link), users_count(people)

    with pytest.raises(SettingsError) as refused:
        people.invitations.join_with_password(token, "short", ADDRESS)

    assert refused.value.problems.keys() == {"password"}
    assert users_count(people) == before
    people.invitations.look(token)


def test_a_link_that_is_gone_makes_no_account(people: People) -> None:
    made, before = invite(people), users_count(people)
    people.invitations.revoke(people.team.id, people.member("owner").id, made.invitation.uid)

    with pytest.raises(NotFound):
        people.invitations.join_with_password(people.token(made.link), PASSWORD, ADDRESS)

    assert users_count(people) == before


def test_passwords_cannot_be_tried_without_end(people: People) -> None:
    people.accounts.create_user(email="new@example.com", password=PASSWORD, now_us=people.clock())
    token = people.token(invite(people).link)

    for _ in range(10):
        assert people.invitations.join_with_password(token, "another horse", ADDRESS) is None
    with pytest.raises(TooManyRequests) as refused:
        people.invitations.join_with_password(token, PASSWORD, ADDRESS)

    assert refused.value.retry_after_s > 0


@pytest.mark.parametrize("by", ["account", "password"])
def test_of_two_who_use_a_link_at_once_one_joins(store: Store, by: str) -> None:
    people = People(store=store)
    token = people.token(invite(people).link)
    persons = (people.person("first"), people.person("second"))
    ready, outcomes = threading.Barrier(2), []

    def go(person: User) -> None:
        ready.wait(10)
        try:
            if by == "account":
                people.invitations.join(token, person)
            else:
                people.invitations.join_with_password(token, PASSWORD, ADDRESS)
            outcomes.append("joined")
        except NotFound:
            outcomes.append("gone")

    threads = [threading.Thread(target=go, args=(person,)) for person in persons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["gone", "joined"]
    with store.read() as conn:
        assert [role for _, role in users.members(conn, people.team.id)].count("member") == 1


# -- what is told ------------------------------------------------------------------------------------


def test_inviting_tells_nothing_of_accounts_elsewhere(people: People) -> None:
    people.person("known")

    answers = [invite(people, email=f"{name}@example.com") for name in ("known", "unknown")]

    assert {(made.mailed, made.problem, made.invitation.role) for made in answers} == {(None, "", "member")}


def test_a_member_is_not_invited_again(people: People) -> None:
    people.member("viewer")

    with pytest.raises(Conflict) as refused:
        invite(people, email="Viewer@example.com")

    assert refused.value.field == "email"


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b@c", "a b@example.com", "a@example.com\nBcc: x@example.com"]
)
def test_what_is_no_address_is_named(people: People, email: str) -> None:
    with pytest.raises(SettingsError) as refused:
        invite(people, email=email)

    assert refused.value.problems.keys() == {"email"}


def test_invitations_are_limited(people: People) -> None:
    for number in range(30):
        invite(people, email=f"new{number}@example.com")
    with pytest.raises(TooManyRequests):
        invite(people, email="new30@example.com")

    assert len(people.invitations.open_in(people.team.id)) == 30


def test_the_link_is_mailed_where_mail_is_set_up(sqlite_store: Store, post_office: MailServer) -> None:
    people = People(store=sqlite_store, mailer=Mailer(Address.parse(post_office.url())))

    made = invite(people)

    (mail,) = post_office.mails
    assert made.mailed is True
    assert mail.to == ("new@example.com",)
    assert mail.message["Subject"] == "Join Team on Broadcast"
    assert made.link in mail.text
    assert "owner@example.com invites you to Team as member." in mail.text


def test_a_link_that_could_not_be_mailed_is_there_all_the_same(sqlite_store: Store) -> None:
    with MailServer(says={"RCPT": "550 no such user"}) as refusing:
        people = People(store=sqlite_store, mailer=Mailer(Address.parse(refusing.url())))
        made = invite(people)

    assert made.mailed is False
    assert made.problem == "The mail server refused every recipient."
    people.invitations.look(people.token(made.link))


def test_every_step_is_written_down(people: People) -> None:
    first = invite(people)
    people.invitations.revoke(people.team.id, people.member("owner").id, first.invitation.uid)
    second = invite(people)
    people.invitations.join(people.token(second.link), people.person("other"))

    joined, *rest = people.trail()

    assert (joined.action, joined.email, joined.detail) == (
        "member_joined", "other@example.com", {"role": "member", "invited_as": "new@example.com"},
    )  # fmt: skip
    assert [entry.action for entry in rest[:3]] == [
        "invitation_made", "invitation_revoked", "invitation_made",
    ]  # fmt: skip
    assert people.token(second.link) not in str(people.trail())
