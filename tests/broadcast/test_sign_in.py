"""Signing in by the provider: whose account opens, how one is connected or made, what is written down."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from broadcast import credentials
from broadcast.accounts import LoggedIn
from broadcast.errors import Conflict, NotFound, SignInRefused, TooManyRequests
from broadcast.oidc import Provider
from broadcast.outbound import Outbound
from broadcast.sign_in import MINUTES, SignedIn, SignIns
from broadcast.store import Store, sessions, users
from broadcast.store.users import User
from tests.broadcast.people import ADDRESS, PASSWORD, PUBLIC_URL, People
from tests.broadcast.test_oidc import settings
from tests.identity_provider import CLIENT_SECRET, IdentityProvider

BROWSER = "b" * 43
MINUTE_US = 60_000_000


@dataclass(kw_only=True)
class Scene:
    """A team whose people have passwords, and a provider that knows Ada."""

    people: People
    there: IdentityProvider
    outbound: Outbound
    sign_ins: SignIns = field(init=False)

    def __post_init__(self) -> None:
        provider = Provider(settings(self.there.issuer), PUBLIC_URL, self.outbound)
        self.sign_ins = SignIns(self.people.store, provider, self.people.invitations, self.people.clock)

    def account(self, email: str = "ada@example.com") -> User:
        """Make an account with a password, in the team."""
        user = self.people.accounts.create_user(email=email, password=PASSWORD, now_us=self.people.clock())
        with self.people.store.write() as conn:
            users.add_member(conn, workspace_id=self.people.team.id, user_id=user.id, role="member")
            users.set_last_workspace(conn, user.id, self.people.team.id)
        return user

    def live(self, email: str = "ada@example.com") -> LoggedIn:
        """Log in by the password."""
        token = self.people.accounts.log_in(email, PASSWORD, ADDRESS, self.people.clock())
        assert token
        found = self.people.accounts.user_of_session(token, self.people.clock())
        assert found
        return found

    def away(self, *, browser: str = BROWSER, invite_token: str | None = None) -> dict[str, str]:
        """Go to the provider, and return what a browser brings back."""
        url = self.sign_ins.begin(
            browser=browser, address=ADDRESS, next_="/w/team/settings/keys", invite_token=invite_token
        )
        back = requests.get(url, allow_redirects=False, timeout=10).headers["Location"]
        return dict(parse_qsl(urlsplit(back).query))

    def back(
        self, answer: dict[str, str], *, browser: str = BROWSER, live: LoggedIn | None = None
    ) -> SignedIn:
        return self.sign_ins.finish(answer, browser=browser, address=ADDRESS, live=live)

    def refused(self, answer: dict[str, str], *, live: LoggedIn | None = None) -> str:
        with pytest.raises(SignInRefused) as at:
            self.back(answer, live=live)
        return at.value.reason

    def user_of(self, done: SignedIn) -> User:
        found = self.people.accounts.user_of_session(done.token, self.people.clock())
        assert found
        return found.user

    def connected(self) -> User:
        """Let the provider open Ada's account, and return it."""
        self.account()
        return self.user_of(self.back(self.away(), live=self.live()))

    def invitation(self, email: str) -> str:
        made = self.people.invitations.invite(
            self.people.team, self.people.member("owner"), email=email, role="admin"
        )
        return self.people.token(made.link)


@pytest.fixture
def scene(store: Store) -> Iterator[Scene]:
    people = People(store=store)
    with IdentityProvider(now_s=lambda: people.clock() // 1_000_000) as there:
        outbound = Outbound(connections=2)
        yield Scene(people=people, there=there, outbound=outbound)
        outbound.close()


# -- an account that is connected ----------------------------------------------------------------------


def test_a_connected_account_is_opened_by_the_subject(scene: Scene) -> None:
    ada = scene.connected()

    done = scene.back(scene.away())

    assert scene.user_of(done).id == ada.id
    assert (done.next, done.joined, done.connected) == ("/w/team/settings/keys", None, False)


def test_the_address_at_the_provider_may_change_once_connected(scene: Scene) -> None:
    ada = scene.connected()
    scene.there.person = {"sub": "1001", "email": "ada@elsewhere.example"}
    scene.there.verified = False

    assert scene.user_of(scene.back(scene.away())).id == ada.id


def test_whoever_gets_the_address_later_does_not_get_the_account(scene: Scene) -> None:
    scene.connected()
    scene.there.person = {"sub": "2002", "email": "ada@example.com"}

    assert scene.refused(scene.away()) == "not_connected"


def test_the_same_subject_of_another_issuer_is_somebody_else(scene: Scene) -> None:
    scene.connected()
    with IdentityProvider(now_s=scene.there.now_s) as other:
        elsewhere = Scene(people=scene.people, there=other, outbound=scene.outbound)

        assert elsewhere.refused(elsewhere.away()) == "not_connected"


def test_the_session_before_ends_with_the_new_one(scene: Scene) -> None:
    scene.connected()
    scene.account("eve@example.com")
    token = scene.people.accounts.log_in("eve@example.com", PASSWORD, ADDRESS, scene.people.clock())
    assert token
    live = scene.people.accounts.user_of_session(token, scene.people.clock())

    done = scene.back(scene.away(), live=live)

    assert scene.user_of(done).email == "ada@example.com"
    assert scene.people.accounts.user_of_session(token, scene.people.clock()) is None


# -- connecting an account -----------------------------------------------------------------------------


def test_an_account_is_connected_by_its_verified_address_and_its_own_session(scene: Scene) -> None:
    ada = scene.account()

    done = scene.back(scene.away(), live=scene.live())

    assert (scene.user_of(done).id, done.connected) == (ada.id, True)
    assert scene.sign_ins.connected_at_us(ada) == scene.people.clock()


def test_an_address_alone_opens_no_account(scene: Scene) -> None:
    ada = scene.account()

    assert scene.refused(scene.away()) == "not_connected"
    assert scene.sign_ins.connected_at_us(ada) is None


def test_an_account_is_not_connected_with_anothers_address(scene: Scene) -> None:
    scene.account("eve@example.com")

    assert scene.refused(scene.away(), live=scene.live("eve@example.com")) == "no_account"


def test_nobody_connects_anothers_account(scene: Scene) -> None:
    ada = scene.account()
    scene.account("eve@example.com")

    assert scene.refused(scene.away(), live=scene.live("eve@example.com")) == "not_connected"
    assert scene.sign_ins.connected_at_us(ada) is None


@pytest.mark.parametrize(
    ("email", "verified", "reason"),
    [("ada@example.com", False, "unverified_email"), ("ada@example.com", None, "unverified_email"),
     (None, True, "no_email"), ("\u212aate@example.com", True, "no_email")],
)  # fmt: skip
def test_an_address_that_is_not_verified_connects_nothing(
    scene: Scene, email: str | None, verified: bool | None, reason: str
) -> None:
    ada = scene.account()
    scene.account("kate@example.com")
    scene.there.person = {"sub": "1001"} | ({"email": email} if email else {})
    scene.there.verified = verified

    assert scene.refused(scene.away(), live=scene.live()) == reason
    assert scene.sign_ins.connected_at_us(ada) is None


def test_who_is_connected_last_is_the_only_one(scene: Scene) -> None:
    scene.connected()
    scene.there.person = {"sub": "2002", "email": "ada@example.com"}
    scene.back(scene.away(), live=scene.live())
    scene.there.person = {"sub": "1001", "email": "ada@example.com"}

    assert scene.refused(scene.away()) == "not_connected"


def test_a_disconnected_account_wants_its_password_again(scene: Scene) -> None:
    ada = scene.connected()

    scene.sign_ins.disconnect(scene.live())

    assert scene.sign_ins.connected_at_us(ada) is None
    assert scene.refused(scene.away()) == "not_connected"


def test_disconnecting_ends_every_session_but_the_one_that_asks(scene: Scene) -> None:
    scene.connected()
    theirs, mine = scene.live(), scene.live()

    scene.sign_ins.disconnect(mine)

    with scene.people.store.read() as conn:
        now_us = scene.people.clock()
        left = [sessions.by_token_hash(conn, one.token_hash, now_us) for one in (theirs, mine)]
    assert [one is not None for one in left] == [False, True]


# -- by an invitation ----------------------------------------------------------------------------------


def test_a_stranger_has_no_account(scene: Scene) -> None:
    assert scene.refused(scene.away()) == "no_account"
    with scene.people.store.read() as conn:
        assert users.by_email(conn, "ada@example.com") is None


def test_an_open_invitation_alone_makes_no_account(scene: Scene) -> None:
    scene.invitation("ada@example.com")

    assert scene.refused(scene.away()) == "no_account"


def test_an_invitation_makes_the_account_of_its_own_address(scene: Scene) -> None:
    token = scene.invitation("ada@example.com")

    done = scene.back(scene.away(invite_token=token))

    ada = scene.user_of(done)
    assert (ada.email, ada.has_password, done.joined) == ("ada@example.com", False, scene.people.team)
    assert scene.people.role_of(ada) == "admin"
    assert ada.last_workspace_id == scene.people.team.id
    with pytest.raises(NotFound):
        scene.people.invitations.look(token)
    assert scene.user_of(scene.back(scene.away())).id == ada.id


def test_no_password_opens_an_account_that_has_none(scene: Scene) -> None:
    scene.back(scene.away(invite_token=scene.invitation("ada@example.com")))

    for guess in ("", users.NO_PASSWORD, PASSWORD):
        assert scene.people.accounts.log_in("ada@example.com", guess, ADDRESS, scene.people.clock()) is None


def test_an_account_without_a_password_stays_connected_until_it_has_one(scene: Scene) -> None:
    ada = scene.user_of(scene.back(scene.away(invite_token=scene.invitation("ada@example.com"))))

    with pytest.raises(Conflict, match="Choose one first"):
        scene.sign_ins.disconnect(LoggedIn(user=ada, csrf="", token_hash=""))

    link = scene.people.passwords.link_for(ada.email).link
    scene.people.passwords.choose(scene.people.token(link), PASSWORD)
    scene.sign_ins.disconnect(scene.live())
    assert scene.sign_ins.connected_at_us(ada) is None


@pytest.mark.parametrize("verified", [True, False])
def test_an_invitation_makes_no_account_of_another_or_an_unverified_address(
    scene: Scene, verified: bool
) -> None:
    token = scene.invitation("new@example.com" if verified else "ada@example.com")
    scene.there.verified = verified

    reason = scene.refused(scene.away(invite_token=token))

    assert reason == ("other_address" if verified else "unverified_email")
    scene.people.invitations.look(token)
    with scene.people.store.read() as conn:
        assert users.by_email(conn, "ada@example.com") is None


def test_a_connected_account_joins_by_anybodys_invitation(scene: Scene) -> None:
    ada = scene.connected()
    other = scene.people.workspace("Other")
    made = scene.people.invitations.invite(
        other, scene.people.person("owner"), email="new@example.com", role="viewer"
    )

    done = scene.back(scene.away(invite_token=scene.people.token(made.link)))

    assert (scene.user_of(done).id, done.joined) == (ada.id, other)


def test_an_invitation_does_not_open_an_account_that_is_not_connected(scene: Scene) -> None:
    scene.people.accounts.create_user(email="ada@example.com", password=PASSWORD, now_us=scene.people.clock())
    token = scene.invitation("ada@example.com")

    assert scene.refused(scene.away(invite_token=token)) == "not_connected"
    scene.people.invitations.look(token)


def test_an_invitation_that_is_gone_sends_nobody_away_and_lets_nobody_in(scene: Scene) -> None:
    token = scene.invitation("ada@example.com")
    answer = scene.away(invite_token=token)
    (invitation, _), *_ = scene.people.invitations.open_in(scene.people.team.id)
    scene.people.invitations.revoke(scene.people.team.id, scene.people.member("owner").id, invitation.uid)

    with pytest.raises(NotFound):
        scene.back(answer)
    with pytest.raises(NotFound):
        scene.away(invite_token=token)
    with scene.people.store.read() as conn:
        assert users.by_email(conn, "ada@example.com") is None


# -- attacks on the way --------------------------------------------------------------------------------


def test_a_state_works_once(scene: Scene) -> None:
    scene.connected()
    answer = scene.away()
    scene.back(answer)

    assert scene.refused(answer) == "unknown_state"


def test_a_state_works_once_even_where_it_came_to_nothing(scene: Scene) -> None:
    answer = scene.away()
    scene.refused(answer)
    asked = scene.there.paths().count("/token")

    assert scene.refused(answer) == "unknown_state"
    assert scene.there.paths().count("/token") == asked


@pytest.mark.parametrize("change", [{"state": "s" * 43}, {"state": ""}])
def test_an_answer_of_another_state_is_refused_before_the_provider_is_asked(
    scene: Scene, change: dict[str, str]
) -> None:
    scene.connected()
    answer = scene.away() | change
    asked = scene.there.paths().count("/token")

    assert scene.refused(answer) == "unknown_state"
    assert scene.there.paths().count("/token") == asked


def test_an_answer_in_another_browser_is_refused(scene: Scene) -> None:
    scene.connected()
    answer = scene.away(browser="a" * 43)

    assert scene.refused(answer) == "unknown_state"


def test_a_code_of_another_browser_is_refused(scene: Scene) -> None:
    scene.connected()
    stolen, own = scene.away(browser="a" * 43), scene.away()

    assert scene.refused(own | {"code": stolen["code"]}) == "untrue"


def test_a_token_with_the_nonce_of_another_sign_in_is_refused(scene: Scene) -> None:
    scene.connected()
    scene.there.changes = {"nonce": "nonce of another sign-in"}

    assert scene.refused(scene.away()) == "untrue"


def test_who_stays_away_too_long_starts_again(scene: Scene) -> None:
    scene.connected()
    answer = scene.away()
    scene.people.clock.now_us += MINUTES * MINUTE_US

    assert scene.refused(answer) == "unknown_state"


def test_two_tabs_of_a_browser_do_not_disturb_each_other(scene: Scene) -> None:
    ada = scene.connected()
    first, second = scene.away(), scene.away()

    assert [scene.user_of(scene.back(answer)).id for answer in (second, first)] == [ada.id, ada.id]


def test_refusals_are_limited_and_a_success_begins_anew(scene: Scene) -> None:
    scene.connected()
    for _ in range(19):
        scene.refused({"state": "none"})
    scene.back(scene.away())
    for _ in range(20):
        scene.refused({"state": "none"})

    with pytest.raises(TooManyRequests):
        scene.back(scene.away())


def test_a_busy_office_is_not_shut_out(scene: Scene) -> None:
    scene.connected()
    for _ in range(59):
        scene.sign_ins.begin(browser=BROWSER, address=ADDRESS, next_="")
    scene.back(scene.away())

    assert scene.sign_ins.begin(browser=BROWSER, address=ADDRESS, next_="")


def test_nobody_is_sent_away_without_end(scene: Scene) -> None:
    for _ in range(60):
        scene.sign_ins.begin(browser=BROWSER, address=ADDRESS, next_="")

    with pytest.raises(TooManyRequests):
        scene.sign_ins.begin(browser=BROWSER, address=ADDRESS, next_="")


# -- what is written down ------------------------------------------------------------------------------


def test_every_step_is_written_down_where_the_person_is(scene: Scene) -> None:
    ada = scene.connected()
    scene.sign_ins.disconnect(scene.live())
    scene.refused(scene.away())

    found = [(entry.action, entry.detail) for entry in scene.people.trail() if entry.user_id == ada.id]

    by = {"provider": "Example ID"}
    assert found == [
        ("login_refused", by | {"reason": "not_connected", "address": ADDRESS}),
        ("login_disconnected", by | {"sessions_ended": 1}),
        ("login", {"address": ADDRESS}),
        ("login", by | {"address": ADDRESS}),
        ("login_connected", by),
        ("login", {"address": ADDRESS}),
    ]


def test_neither_log_nor_audit_holds_what_proves_anything(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.account()
    answer = scene.away()
    with caplog.at_level(logging.DEBUG, logger="broadcast"):
        scene.refused(answer)

    (line,) = [one.getMessage() for one in caplog.records if one.name == "broadcast.sign_in"]
    assert line == "action=sign_in_refused reason=not_connected detail=none"
    told = caplog.text + str(scene.people.trail())
    secrets = (answer["code"], answer["state"], CLIENT_SECRET, "eyJ", credentials.public_hash(BROWSER))
    assert [secret for secret in secrets if secret in told] == []


def test_a_provider_that_is_down_is_written_down_too(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.there.stop()

    with pytest.raises(SignInRefused) as at:
        scene.away()

    assert at.value.reason == "unreachable"
    assert "action=sign_in_refused reason=unreachable detail=connection_failed" in caplog.text
