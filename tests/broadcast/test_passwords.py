"""A new password: by the old one, by a mailed link, by a link from the command line."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from broadcast.errors import NotFound, SettingsError, TooManyRequests
from broadcast.mail import Mailer
from broadcast.mail import MailServer as Address
from broadcast.store import Store, side_tables
from broadcast.store.people_tables import password_resets
from broadcast.store.users import User
from tests.broadcast.people import ADDRESS, PASSWORD, PUBLIC_URL, People
from tests.mail_server import MailServer

NEW = "another horse"
HOUR_US = 3_600_000_000


@pytest.fixture
def post_office() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def people(sqlite_store: Store, post_office: MailServer) -> People:
    return People(store=sqlite_store, mailer=Mailer(Address.parse(post_office.url())))


def ann(people: People) -> User:
    return people.accounts.create_user(email="ann@example.com", password=PASSWORD, now_us=people.clock())


def log_in(people: People, password: str = PASSWORD) -> str | None:
    return people.accounts.log_in("ann@example.com", password, ADDRESS, people.clock())


def lives(people: People, session: str | None) -> bool:
    return people.accounts.user_of_session(session or "", people.clock()) is not None


def ask(people: People, email: str = "ann@example.com", address: str = ADDRESS) -> None:
    """Ask for a mail, and wait for who sends it."""
    people.passwords.ask(email, address)
    for thread in threading.enumerate():
        if thread.name == "password-reset":
            thread.join()


def trail(people: People, user: User) -> list[str]:
    """Return what was written down of a user who has no workspace."""
    with people.store.read() as conn:
        table = side_tables.audit_log
        return list(conn.execute(select(table.c.action).where(table.c.user_id == user.id)).scalars())


# -- by the old one --------------------------------------------------------------------------------


def test_a_new_password_ends_every_other_session(store: Store) -> None:
    people = People(store=store)
    user, here, elsewhere = ann(people), log_in(people), log_in(people)
    assert here
    session = people.accounts.user_of_session(here, people.clock())
    assert session is not None

    ended = people.passwords.change(user, old=PASSWORD, new=NEW, keep=session.token_hash)

    assert ended == 1
    assert lives(people, here)
    assert not lives(people, elsewhere)
    assert log_in(people) is None
    assert log_in(people, NEW) is not None


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [("wrong horse", NEW, "old"), (PASSWORD, "short", "new"), (PASSWORD, "x" * 1001, "new")],
)
def test_what_is_wrong_is_named_and_nothing_changes(people: People, old: str, new: str, field: str) -> None:
    user, session = ann(people), log_in(people)

    with pytest.raises(SettingsError) as refused:
        people.passwords.change(user, old=old, new=new, keep="")

    assert refused.value.problems.keys() == {field}
    assert lives(people, session)
    assert log_in(people) is not None


def test_the_old_password_cannot_be_guessed_without_end(people: People) -> None:
    user = ann(people)

    for _ in range(10):
        with pytest.raises(SettingsError):
            people.passwords.change(user, old="wrong horse", new=NEW, keep="")
    with pytest.raises(TooManyRequests):
        people.passwords.change(user, old=PASSWORD, new=NEW, keep="")


# -- by a link -------------------------------------------------------------------------------------


def test_a_mailed_link_chooses_a_new_password_and_ends_every_session(
    people: People, post_office: MailServer
) -> None:
    user, session = ann(people), log_in(people)

    ask(people, " Ann@Example.com ")
    (mail,) = post_office.mails
    link = next(line for line in mail.text.splitlines() if line.startswith(PUBLIC_URL))
    people.passwords.choose(people.token(link), NEW)

    assert mail.to == ("ann@example.com",)
    assert "works once, within 60 minutes" in mail.text
    assert not lives(people, session)
    assert log_in(people) is None
    assert log_in(people, NEW) is not None
    assert trail(people, user)[1:3] == ["password_reset_asked", "password_reset"]


def test_an_unknown_address_gets_the_same_answer_and_no_mail(people: People, post_office: MailServer) -> None:
    ann(people)

    for email in ("ann@example.com", "nobody@example.com", "not an address", ""):
        ask(people, email, address=email)

    assert [mail.to for mail in post_office.mails] == [("ann@example.com",)]


def test_asking_is_answered_while_the_mail_server_still_hangs(sqlite_store: Store) -> None:
    with MailServer(hangs={"EHLO"}) as hanging:
        people = People(store=sqlite_store, mailer=Mailer(Address.parse(hanging.url())))
        ann(people)

        people.passwords.ask("ann@example.com", ADDRESS)

        (sending,) = (thread for thread in threading.enumerate() if thread.name == "password-reset")
        hanging.stopping.set()
        sending.join()


def test_an_address_known_or_not_is_asked_for_only_so_often(people: People) -> None:
    ann(people)

    for email in ("ann@example.com", "nobody@example.com"):
        for number in range(5):
            ask(people, email, address=f"{email}{number}")
        with pytest.raises(TooManyRequests):
            ask(people, email, address=f"{email}6")


def test_from_one_place_only_so_many_addresses_are_asked_for(people: People) -> None:
    for number in range(5):
        ask(people, f"nobody{number}@example.com")
    with pytest.raises(TooManyRequests):
        ask(people, "nobody@example.com")


def test_a_link_works_once_and_ends_the_others(store: Store) -> None:
    people = People(store=store)
    ann(people)
    first, second = (people.token(people.passwords.link_for("ann@example.com").link) for _ in range(2))

    people.passwords.choose(first, NEW)

    for token in (first, second):
        with pytest.raises(NotFound):
            people.passwords.look(token)
        with pytest.raises(NotFound):
            people.passwords.choose(token, PASSWORD)
    assert log_in(people, NEW) is not None


def test_a_link_ends_after_an_hour(people: People) -> None:
    ann(people)
    reset = people.passwords.link_for("ann@example.com")

    people.clock.now_us += HOUR_US - 1
    people.passwords.look(people.token(reset.link))
    people.clock.now_us += 1

    assert reset.expires_at_us == people.clock()
    with pytest.raises(NotFound):
        people.passwords.look(people.token(reset.link))


def test_a_password_too_short_leaves_the_link(people: People) -> None:
    ann(people)
    token = people.token(people.passwords.link_for("ann@example.com").link)

    with pytest.raises(SettingsError):
        people.passwords.choose(token, "short")

    assert people.passwords.look(token).email == "ann@example.com"


def test_a_change_by_the_old_password_ends_open_links(people: People) -> None:
    user = ann(people)
    token = people.token(people.passwords.link_for("ann@example.com").link)

    people.passwords.change(user, old=PASSWORD, new=NEW, keep="")

    with pytest.raises(NotFound):
        people.passwords.look(token)


def test_of_a_link_the_hash_alone_is_kept(people: People) -> None:
    ann(people)

    reset = people.passwords.link_for("ann@example.com")

    with people.store.read() as conn:
        (row,) = conn.execute(select(password_resets)).all()
    assert people.token(reset.link) not in str(row) + repr(reset)


def test_the_command_line_names_an_unknown_address(people: People) -> None:
    with pytest.raises(NotFound):
        people.passwords.link_for("nobody@example.com")


def test_a_mail_that_is_not_taken_is_only_logged(
    sqlite_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with MailServer(says={"DATA": "554 no"}) as refusing:
        people = People(store=sqlite_store, mailer=Mailer(Address.parse(refusing.url())))
        ann(people)
        ask(people)

    assert "action=password_mail_failed" in caplog.text
    assert "/reset/" not in caplog.text
