"""Sign in by the operator's identity provider.

An account is opened by the subject that the issuer calls somebody by. A subject is connected to an account
that exists only where two things come together: the provider has verified the account's own address, and
whoever comes back is signed in to the account already. An address alone opens nothing: at the provider it
could be given to somebody else later, and here it could have been taken before. An account is made only by
an invitation to that address.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from broadcast import credentials
from broadcast.accounts import LoggedIn, open_session
from broadcast.errors import Conflict, SignInRefused
from broadcast.invitations import Invitations
from broadcast.rate_limit import RateLimit
from broadcast.store import Conn, Store, audit, identities, limits, sessions, sign_ins, users
from broadcast.store.sign_ins import SignIn
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace

if TYPE_CHECKING:
    # Its library is loaded only where the operator has set a provider.
    from broadcast.oidc import Identity, Provider

MINUTES: Final = 10
_MINUTE_US: Final = 60_000_000
_WORDS: Final = "Too many tries to sign in. Wait a little."
_BEGUN: Final = RateLimit(uses=60, within_us=15 * _MINUTE_US, words=_WORDS)
_REFUSED: Final = RateLimit(uses=20, within_us=15 * _MINUTE_US, words=_WORDS)
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A new session, where it leads to, and what else came of it."""

    token: str = field(repr=False)
    next: str
    joined: Workspace | None
    connected: bool


class SignIns:
    """The use cases of signing in by the provider; each opens and closes its own transactions."""

    def __init__(
        self, store: Store, provider: "Provider", invitations: Invitations, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._provider = provider
        self._invitations = invitations
        self._clock = clock
        self.name = provider.name
        self.redirect_uri = provider.redirect_uri

    def check(self) -> None:
        """Ask the provider what it publishes; raise `SignInRefused` where that does not do."""
        self._provider.check(self._clock())

    def begin(self, *, browser: str, address: str, next_: str, invite_token: str | None = None) -> str:
        """Return where a browser goes to sign in; `browser` is a secret that it keeps, and brings back."""
        now_us = self._clock()
        _BEGUN.count(self._store, _counters(address)[0], now_us=now_us)
        if invite_token is not None:
            self._invitations.look(invite_token)
        state, nonce, verifier = (credentials.new_token() for _ in range(3))
        try:
            url = self._provider.authorization_url(state=state, nonce=nonce, verifier=verifier, now_us=now_us)
        except SignInRefused as refused:
            self._note(refused, None, address, now_us)
            raise
        away = SignIn(
            nonce=nonce,
            verifier=verifier,
            next=next_,
            invitation_hash=credentials.public_hash(invite_token) if invite_token is not None else None,
        )
        with self._store.write() as conn:
            sign_ins.create(
                conn,
                away,
                state_hash=credentials.public_hash(state),
                browser_hash=credentials.public_hash(browser),
                now_us=now_us,
                expires_at_us=now_us + MINUTES * _MINUTE_US,
            )
        return url

    def finish(
        self, answer: Mapping[str, str], *, browser: str, address: str, live: LoggedIn | None
    ) -> SignedIn:
        """Return a session for whoever came back with the provider's answer; raise `SignInRefused`.

        `live` is who is signed in in this browser; that session ends, in favour of the new one.
        """
        now_us = self._clock()
        _REFUSED.count(self._store, _counters(address)[1], now_us=now_us)
        identity = None
        try:
            away = self._claimed(answer.get("state", ""), browser, now_us)
            identity = self._provider.identify(
                answer, nonce=away.nonce, verifier=away.verifier, now_us=now_us
            )
            with self._store.write() as conn:
                # Only what comes to nothing counts, else a busy office is shut out.
                for counter in _counters(address):
                    limits.clear(conn, counter)
                return self._admitted(conn, away, identity, live=live, address=address, now_us=now_us)
        except SignInRefused as refused:
            self._note(refused, identity, address, now_us)
            raise

    def connected_at_us(self, user: User) -> int | None:
        """Return since when the provider opens an account, None where it does not."""
        with self._store.read() as conn:
            return identities.connected_at_us(conn, user_id=user.id, issuer=self._provider.issuer)

    def disconnect(self, session: LoggedIn) -> None:
        """Let the provider open an account no more, and end what it may have opened, but this session.

        Raises `Conflict` where nothing else opens the account.
        """
        user = session.user
        if not user.has_password:
            raise Conflict("This account has no password. Choose one first, so that you still get in.")
        with self._store.write() as conn:
            if identities.disconnect(conn, user_id=user.id, issuer=self._provider.issuer):
                ended = sessions.delete_for_user(conn, user.id, besides=session.token_hash)
                told = {"provider": self.name, "sessions_ended": ended}
                audit.of_login(conn, user, "login_disconnected", told, now_us=self._clock())

    # -- inside --------------------------------------------------------------------------------------

    def _claimed(self, state: str, browser: str, now_us: int) -> SignIn:
        """Return what this browser went away with; nobody has it a second time."""
        with self._store.write() as conn:
            away = sign_ins.claim(
                conn,
                state_hash=credentials.public_hash(state),
                browser_hash=credentials.public_hash(browser),
                now_us=now_us,
            )
        if away is None:
            raise SignInRefused(
                "unknown_state",
                "This sign-in began in another browser or at another address of this server, was used "
                f"already, or is older than {MINUTES} minutes. Start again.",
            )
        return away

    def _admitted(
        self,
        conn: Conn,
        away: SignIn,
        identity: "Identity",
        *,
        live: LoggedIn | None,
        address: str,
        now_us: int,
    ) -> SignedIn:
        """Open a session, and with it the invitation that was on the way; all of it or nothing."""
        user_id = identities.user_of(conn, issuer=identity.issuer, subject=identity.subject)
        known = users.by_id(conn, user_id) if user_id is not None else None
        user = known or self._connected(conn, away, identity, live, now_us)
        joined = None
        if away.invitation_hash is not None:
            joined = self._invitations.admit(conn, away.invitation_hash, user, now_us)
            user = users.by_id(conn, user.id) or user
        if live is not None:
            sessions.delete(conn, live.token_hash)
        return SignedIn(
            token=open_session(conn, user, address, now_us, provider=self.name),
            next=away.next,
            joined=joined,
            connected=known is None,
        )

    def _connected(
        self, conn: Conn, away: SignIn, identity: "Identity", live: LoggedIn | None, now_us: int
    ) -> User:
        """Return the account that a subject opens from now on."""
        email = self._verified_email(identity)
        user = users.by_email(conn, email)
        if user is None:
            user = self._invited(conn, away, email, live, now_us)
        elif live is None or live.user.id != user.id:
            raise self._not_yet(email, live)
        identities.connect(
            conn, user_id=user.id, issuer=identity.issuer, subject=identity.subject, now_us=now_us
        )
        audit.of_login(conn, user, "login_connected", {"provider": self.name}, now_us=now_us)
        return user

    def _verified_email(self, identity: "Identity") -> str:
        if identity.email is None:
            raise SignInRefused(
                "no_email",
                f"{self.name} gave no e-mail address that can be used here. Ask its administrator to release "
                "yours to this server.",
            )
        if not identity.verified:
            raise SignInRefused(
                "unverified_email",
                f"{self.name} does not say that {identity.email} is yours. Verify the address there, then "
                "start again.",
            )
        return identity.email

    def _invited(self, conn: Conn, away: SignIn, email: str, live: LoggedIn | None, now_us: int) -> User:
        """Make the account of somebody who was invited by this very address."""
        if away.invitation_hash is None:
            own = f"; you are signed in as {live.user.email}" if live else ""
            raise SignInRefused(
                "no_account",
                f"No account here has the address {email}{own}. Ask an owner or admin of a workspace to "
                "invite it, then open the invitation's link.",
            )
        invitation, _ = self._invitations.held(conn, away.invitation_hash)
        if invitation.email != email:
            raise SignInRefused(
                "other_address",
                f"The invitation is for {invitation.email}, and {self.name} knows you as {email}. Ask for an "
                f"invitation to {email}, or join by a password.",
            )
        return users.create(conn, email=email, password_hash=users.NO_PASSWORD, now_us=now_us)

    def _not_yet(self, email: str, live: LoggedIn | None) -> SignInRefused:
        first = "Sign out, then sign in" if live else "Sign in"
        return SignInRefused(
            "not_connected",
            f"{email} has an account here that {self.name} does not open yet. {first} with its password "
            f"once and connect {self.name}: from then on it is enough.",
        )

    def _note(self, refused: SignInRefused, identity: "Identity | None", address: str, now_us: int) -> None:
        """Write down that nobody was let in, for whoever runs the server and for whoever was meant."""
        _log.warning("action=sign_in_refused reason=%s detail=%s", refused.reason, refused.detail or "none")
        with self._store.write() as conn:
            user = users.by_email(conn, identity.email) if identity and identity.email else None
            detail = {"provider": self.name, "reason": refused.reason, "address": address}
            audit.of_login(conn, user, "login_refused", detail, now_us=now_us)


def _counters(address: str) -> tuple[str, str]:
    return f"sign_in:begun:{address}", f"sign_in:refused:{address}"
