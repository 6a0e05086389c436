"""A new password: by who knows the old one, or by a link that is mailed or that the operator prints."""

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broadcast import credentials
from broadcast.errors import BroadcastError, NotFound, SettingsError
from broadcast.mail import Mail, Mailer, is_address
from broadcast.rate_limit import RateLimit
from broadcast.store import Conn, Store, audit, password_resets, sessions, users
from broadcast.store.users import User

MINUTES: Final = 60
_MINUTE_US: Final = 60_000_000
_WORDS: Final = "Too many tries. Wait a little."
_TRIES: Final = RateLimit(uses=10, within_us=15 * _MINUTE_US, words=_WORDS)
_ASKED: Final = RateLimit(uses=5, within_us=15 * _MINUTE_US, words=_WORDS)
_log: Final = logging.getLogger(__name__)
_GONE: Final = "This link was used or its time is over. Ask for a new one."


@dataclass(frozen=True, kw_only=True)
class Reset:
    """A link to choose a new password with; it is shown once."""

    user: User
    link: str = field(repr=False)
    expires_at_us: int


class Passwords:
    """The use cases of passwords; each opens and closes its own transactions."""

    def __init__(
        self, store: Store, mailer: Mailer | None, public_url: str, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._mailer = mailer
        self._public_url = public_url
        self._clock = clock
        self.sends_mail = mailer is not None

    def change(self, user: User, *, old: str, new: str, keep: str) -> int:
        """Replace a password by who knows it; end the other sessions, but `keep`, and return how many."""
        _TRIES.count(self._store, f"password:{user.id}", now_us=self._clock())
        if not credentials.password_matches(user.password_hash, old):
            raise SettingsError({"old": "This is not your password."})
        if wrong := credentials.password_fault(new):
            raise SettingsError({"new": wrong})
        password_hash = credentials.hash_password(new)
        with self._store.write() as conn:
            return self._set(conn, user, password_hash, "password_changed", keep=keep)

    def ask(self, email: str, address: str) -> None:
        """Mail a link to the address if it is a user's.

        The answer comes before anybody looks whether it is one, so that neither words nor time can tell.
        """
        email = email.strip().lower()
        counters = f"reset:account:{credentials.public_hash(email)}", f"reset:address:{address}"
        _ASKED.count(self._store, *counters, now_us=self._clock())
        threading.Thread(target=self._mail, args=(email,), name="password-reset", daemon=True).start()

    def link_for(self, email: str) -> Reset:
        """Return a link for whoever holds the command line; raise `NotFound` for an unknown address."""
        reset = self._made(email)
        if reset is None:
            raise NotFound("There is no user with this address.")
        return reset

    def look(self, token: str) -> User:
        """Return whose password a link changes; raise `NotFound` for one that changes none any more."""
        with self._store.read() as conn:
            user_id = password_resets.user_of(conn, credentials.public_hash(token), self._clock())
            user = users.by_id(conn, user_id) if user_id else None
        if user is None:
            raise NotFound(_GONE)
        return user

    def choose(self, token: str, new: str) -> None:
        """Set the password of whoever a link belongs to; every session and every link of theirs ends."""
        user = self.look(token)
        if wrong := credentials.password_fault(new):
            raise SettingsError({"new": wrong})
        password_hash = credentials.hash_password(new)
        with self._store.write() as conn:
            if password_resets.use(conn, credentials.public_hash(token), self._clock()) is None:
                raise NotFound(_GONE)
            self._set(conn, user, password_hash, "password_reset")

    # -- inside --------------------------------------------------------------------------------------

    def _set(self, conn: Conn, user: User, password_hash: str, action: str, *, keep: str = "") -> int:
        users.set_password(conn, user.id, password_hash)
        password_resets.end_for_user(conn, user.id)
        ended = sessions.delete_for_user(conn, user.id, besides=keep)
        audit.of_login(conn, user, action, {"sessions_ended": ended}, now_us=self._clock())
        return ended

    def _made(self, email: str) -> Reset | None:
        token, now_us = credentials.new_token(), self._clock()
        with self._store.write() as conn:
            user = users.by_email(conn, email)
            if user is None:
                return None
            password_resets.create(
                conn,
                token_hash=credentials.public_hash(token),
                user_id=user.id,
                now_us=now_us,
                expires_at_us=now_us + MINUTES * _MINUTE_US,
            )
            audit.of_login(conn, user, "password_reset_asked", now_us=now_us)
        return Reset(
            user=user,
            link=f"{self._public_url}/reset/{token}",
            expires_at_us=now_us + MINUTES * _MINUTE_US,
        )

    def _mail(self, email: str) -> None:
        """Make and mail a link; nobody waits for it, so what goes wrong is only logged."""
        try:
            reset = self._made(email) if self._mailer and is_address(email) else None
            if self._mailer and reset:
                self._mailer.send_now(_mail_of(reset, self._clock()))
        except BroadcastError as error:
            _log.warning("action=password_mail_failed error=%s", error)


def _mail_of(reset: Reset, now_us: int) -> Mail:
    return Mail(
        id=str(uuid.uuid4()),
        to=(reset.user.email,),
        subject="Choose a new password for Broadcast",
        text=(
            f"Somebody asked for a new password for {reset.user.email}.\n\n{reset.link}\n\n"
            f"The link works once, within {MINUTES} minutes. If it was not you, do nothing: the old password "
            "stays.\n"
        ),
        at_us=now_us,
    )
