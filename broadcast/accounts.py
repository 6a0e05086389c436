"""Who is asking and what they may do: users, workspaces, roles, login sessions and keys."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from broadcast import credentials
from broadcast.errors import Conflict, Forbidden, NotFound, SettingsError, TooManyRequests
from broadcast.members import ROLES
from broadcast.rate_limit import RateLimit
from broadcast.store import Conn, Store, audit, limits, sessions, users, workspaces
from broadcast.store.keys import ApiKey
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace
from broadcast.vault import Vault
from broadcast.workspace_life import Workspaces

IDLE_US: Final = 12 * 3_600_000_000
ABSOLUTE_US: Final = 7 * 86_400_000_000
_MINUTE_US: Final = 60_000_000
_LOG_INS: Final = RateLimit(
    uses=10, within_us=15 * _MINUTE_US, words="Too many tries to log in. Wait a little."
)
_TESTS: Final = RateLimit(uses=30, within_us=_MINUTE_US, words="Too many connection tests. Wait a little.")
_WHOLE_TESTS: Final = RateLimit(
    uses=6, within_us=_MINUTE_US, words="Settings are applied too often. Wait a little."
)
_TESTS_AT_ONCE: Final = 4
_DEMO_EMAIL: Final = "operator@example.com"
_DEMO_WORKSPACE: Final = "Demo"


@dataclass(frozen=True, kw_only=True)
class LoggedIn:
    """A live login session: its user, and the secret its forms must carry."""

    user: User
    csrf: str = field(repr=False)
    token_hash: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class DemoSecrets:
    """What the demo's first start made; shown once."""

    workspace_id: int
    workspace_uid: str
    workspace_slug: str
    email: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)
    management_key: str = field(repr=False)


class Accounts(Workspaces):
    """Every use case about people and keys; each opens and closes its own transactions."""

    def __init__(self, store: Store, secret_key: bytes, vault: Vault, clock: Callable[[], int]) -> None:
        super().__init__(store, secret_key, vault, clock)
        self._testing: dict[int, threading.BoundedSemaphore] = {}

    # -- log-in ----------------------------------------------------------------------------------

    def log_in(self, email: str, password: str, address: str, now_us: int) -> str | None:
        """Return a new session's token, or None: unknown user and wrong password are one answer."""
        email = _normal(email)
        counters = f"login:account:{credentials.public_hash(email)}", f"login:address:{address}"
        _LOG_INS.count(self._store, *counters, now_us=now_us)
        with self._store.read() as conn:
            user = users.by_email(conn, email)
        if not credentials.password_matches(user.password_hash if user else None, password) or user is None:
            with self._store.write() as conn:
                audit.of_login(conn, user, "login_failed", {"address": address}, now_us=now_us)
            return None
        with self._store.write() as conn:
            # Only failures count, else a busy office is shut out; a guessed account keeps its own limit.
            for counter in counters:
                limits.clear(conn, counter)
            return open_session(conn, user, address, now_us)

    def user_of_session(self, token: str, now_us: int) -> LoggedIn | None:
        """Return who a session belongs to; None once it was idle for 12 hours or is 7 days old."""
        token_hash = credentials.public_hash(token)
        with self._store.read() as conn:
            session = sessions.by_token_hash(conn, token_hash, now_us)
            user = users.by_id(conn, session.user_id) if session else None
        if session is None or user is None:
            return None
        if now_us - session.seen_at_us >= IDLE_US:
            return None
        if now_us - session.seen_at_us >= _MINUTE_US:
            with self._store.write() as conn:
                sessions.touch(conn, token_hash, now_us)
        return LoggedIn(user=user, csrf=session.csrf, token_hash=token_hash)

    def log_out(self, token: str) -> None:
        """End a session; one that does not exist is ended already."""
        with self._store.write() as conn:
            sessions.delete(conn, credentials.public_hash(token))

    # -- users, workspaces, roles ----------------------------------------------------------------

    def create_user(self, *, email: str, password: str, now_us: int) -> User:
        """Make a user; raise `Conflict` when the address is taken."""
        email = _normal(email)
        _check_new_user(email, password)
        password_hash = credentials.hash_password(password)
        with self._store.write() as conn:
            if users.by_email(conn, email):
                raise Conflict("A user with this address exists already.", field="email")
            return users.create(conn, email=email, password_hash=password_hash, now_us=now_us)

    def require_role(self, user_id: int, workspace_id: int, at_least: str) -> str:
        """Return the user's role; `NotFound` for a stranger, `Forbidden` for one who may not do this."""
        with self._store.read() as conn:
            role = users.role_of(conn, workspace_id, user_id)
        if role is None:
            raise NotFound("There is no such workspace.")
        if ROLES.index(role) < ROLES.index(at_least):
            raise Forbidden(f"This needs the role {at_least}; yours is {role}.")
        return role

    def require_sender(self, key: ApiKey) -> None:
        """Raise `Forbidden` for a management key whose maker no longer manages the workspace it sends to."""
        if key.kind == "management":
            self.workspace_of(key)

    def uid_of(self, user_id: int) -> str | None:
        """Return a user's outside id."""
        with self._store.read() as conn:
            user = users.by_id(conn, user_id)
        return user.uid if user else None

    def check_encryption(self) -> None:
        """Raise `VaultError` when the key ring does not open what the first workspace has sealed."""
        with self._store.read() as conn:
            found = workspaces.all(conn)
        for workspace in found[:1]:
            self._vault.content_cipher(workspace.content_key)

    @contextlib.contextmanager
    def testing(self, workspace_id: int, now_us: int) -> Iterator[None]:
        """Hold one of a workspace's places for a live test: 30 a minute, and 4 at once in this process."""
        _TESTS.count(self._store, f"test:{workspace_id}", now_us=now_us)
        with self._place(workspace_id):
            yield

    @contextlib.contextmanager
    def testing_whole(self, workspace_id: int, now_us: int) -> Iterator[None]:
        """Hold one of these places for the tests of a whole file of settings, however long: 6 a minute."""
        _WHOLE_TESTS.count(self._store, f"apply:{workspace_id}", now_us=now_us)
        with self._place(workspace_id):
            yield

    @contextlib.contextmanager
    def _place(self, workspace_id: int) -> Iterator[None]:
        with self._lock:
            place = self._testing.setdefault(workspace_id, threading.BoundedSemaphore(_TESTS_AT_ONCE))
        if not place.acquire(blocking=False):
            raise TooManyRequests(_TESTS.words, retry_after_s=2)
        try:
            yield
        finally:
            place.release()

    # -- first start -----------------------------------------------------------------------------

    def bootstrap(
        self, *, email: str, password: str, workspace: str, new_keys: bool, now_us: int
    ) -> dict[str, Any]:
        """Make a user, a workspace and its keys; for what exists, keys are None unless asked for."""
        user = self._bootstrap_user(_normal(email), password, now_us)
        with self._store.read() as conn:
            mine = workspaces.for_user(conn, user.id)
        found = next((each for each, _ in mine if each.name == workspace.strip()), None)
        target = found or self.create_workspace(name=workspace, owner=user, now_us=now_us)
        made = self._first_keys(target, user, now_us) if new_keys or found is None else (None, None)
        return {
            "workspace_id": target.uid,
            "workspace_slug": target.slug,
            "api_key": made[0],
            "management_key": made[1],
        }

    def ensure_demo(self, now_us: int) -> DemoSecrets | None:
        """Make the demo's workspace, login and keys when no workspace exists at all; otherwise None."""
        with self._store.read() as conn:
            if workspaces.count(conn):
                return None
        password = credentials.new_password()
        user = self._bootstrap_user(_DEMO_EMAIL, password, now_us)
        workspace = self.create_workspace(name=_DEMO_WORKSPACE, owner=user, now_us=now_us, demo=True)
        api_key, management_key = self._first_keys(workspace, user, now_us)
        return DemoSecrets(
            workspace_id=workspace.id,
            workspace_uid=workspace.uid,
            workspace_slug=workspace.slug,
            email=_DEMO_EMAIL,
            password=password,
            api_key=api_key,
            management_key=management_key,
        )

    def _bootstrap_user(self, email: str, password: str, now_us: int) -> User:
        with self._store.read() as conn:
            user = users.by_email(conn, email)
        if user is None:
            return self.create_user(email=email, password=password, now_us=now_us)
        if not credentials.password_matches(user.password_hash, password):
            _check_new_user(email, password)
            with self._store.write() as conn:
                users.set_password(conn, user.id, credentials.hash_password(password))
                # Whoever knew the old password is out at once, wherever they are logged in.
                sessions.delete_for_user(conn, user.id)
                audit.of_login(conn, user, "password_set", now_us=now_us)
        return user

    def _first_keys(self, workspace: Workspace, user: User, now_us: int) -> tuple[str, str]:
        api_key, management_key = (
            self.make_key(
                workspace_id=workspace.id,
                user_id=user.id,
                kind=kind,
                name=name,
                scopes=credentials.ALL_SCOPES,
                now_us=now_us,
            )[0]
            for kind, name in (("api", "First key"), ("management", "First management key"))
        )
        return api_key, management_key


def open_session(conn: Conn, user: User, address: str, now_us: int, **how: str) -> str:
    """Begin a session and return its token; `how` is written down of a log-in that was not by password."""
    token = credentials.new_token()
    sessions.create(
        conn,
        token_hash=credentials.public_hash(token),
        user_id=user.id,
        csrf=credentials.new_token(),
        now_us=now_us,
        expires_at_us=now_us + ABSOLUTE_US,
    )
    audit.of_login(conn, user, "login", {"address": address, **how}, now_us=now_us)
    return token


def _normal(email: str) -> str:
    return email.strip().lower()


def _check_new_user(email: str, password: str) -> None:
    problems = {}
    if "@" not in email or len(email) > 254:
        problems["email"] = "This is not an e-mail address."
    if wrong := credentials.password_fault(password):
        problems["password"] = wrong
    if problems:
        raise SettingsError(problems)
