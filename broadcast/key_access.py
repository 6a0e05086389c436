"""Keys: made, listed, revoked, and recognised on every request."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from broadcast import credentials
from broadcast.errors import BroadcastError, NotFound, SettingsError
from broadcast.store import Store, audit, keys
from broadcast.store.keys import ApiKey
from broadcast.vault import derive, verifier

_log: Final = logging.getLogger(__name__)
_MINUTE_US: Final = 60_000_000
_KEY_CACHE_US: Final = 2_000_000
_KEY_CACHE_MAX: Final = 10_000


class Keys:
    """The use cases of API keys and management keys."""

    def __init__(self, store: Store, secret_key: bytes, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._pepper = derive(secret_key, "key-verifier")
        self._known: dict[bytes, tuple[ApiKey, int]] = {}
        self._touched: dict[int, int] = {}
        self._lock = threading.Lock()

    def make_key(
        self,
        *,
        workspace_id: int,
        user_id: int,
        kind: str,
        name: str,
        now_us: int,
        scopes: tuple[str, ...] = (),
        expires_at_us: int | None = None,
    ) -> tuple[str, ApiKey]:
        """Return a new key, which is never shown again, and what is stored of it."""
        name = _name(name)
        _check_end(expires_at_us, now_us)
        if set(scopes) - set(credentials.ALL_SCOPES):
            raise SettingsError({"scopes": f"Scopes are {', '.join(credentials.ALL_SCOPES)}."})
        plain = credentials.new_key(kind)
        with self._store.write() as conn:
            key = keys.create(
                conn,
                workspace_id=workspace_id,
                user_id=user_id,
                kind=kind,
                hash=credentials.public_hash(plain),
                verifier=verifier(self._pepper, plain),
                name=name,
                label=credentials.label_of(plain),
                scopes=credentials.ALL_SCOPES if kind == "management" else scopes or credentials.API_SCOPES,
                now_us=now_us,
                expires_at_us=expires_at_us,
            )
            audit.of_key(conn, key, user_id, "key_created", {}, now_us)
        return plain, key

    def change_key(
        self, *, workspace_id: int, user_id: int, key_hash: str, changes: Mapping[str, Any], now_us: int
    ) -> ApiKey:
        """Change a key's `name`, `disabled` or `expires_at_us`; a revoked one does not come back."""
        columns = {**changes, "name": _name(changes["name"])} if "name" in changes else dict(changes)
        _check_end(columns.get("expires_at_us"), now_us)
        switched = {name: value for name, value in columns.items() if name == "disabled"}
        with self._store.write() as conn:
            key = keys.by_hash(conn, workspace_id, key_hash)
            if key is None or not keys.change(conn, workspace_id, key.id, now_us=now_us, **columns):
                raise NotFound("There is no such key.")
            named = {"name": columns.get("name", key.name), "fields": sorted(columns), **switched}
            audit.of_key(conn, key, user_id, "key_changed", named, now_us)
        self._forget(lambda known: known.id == key.id)
        return self.key_of(workspace_id, key_hash)

    def revoke_key(self, *, workspace_id: int, user_id: int, key_hash: str, now_us: int) -> None:
        """End a key: within two seconds every process refuses it."""
        with self._store.write() as conn:
            key = keys.by_hash(conn, workspace_id, key_hash)
            if key is None or not keys.revoke(conn, workspace_id, key.id, now_us):
                raise NotFound("There is no such key.")
            audit.of_key(conn, key, user_id, "key_revoked", {}, now_us)
        self._forget(lambda known: known.id == key.id)

    def keys_of(self, workspace_id: int) -> list[ApiKey]:
        """Return a workspace's live keys, newest first."""
        with self._store.read() as conn:
            return keys.list_for(conn, workspace_id)

    def makers_of(self, found: Iterable[ApiKey]) -> dict[int, str]:
        """Return the outside ids of the users who made some keys, by inside id."""
        with self._store.read() as conn:
            return keys.makers(conn, found)

    def key_of(self, workspace_id: int, key_hash: str) -> ApiKey:
        """Return one of a workspace's keys by its public hash."""
        with self._store.read() as conn:
            key = keys.by_hash(conn, workspace_id, key_hash)
        if key is None or key.revoked_at_us is not None:
            raise NotFound("There is no such key.")
        return key

    def authenticate(self, bearer: str) -> ApiKey | None:
        """Return the live key behind a bearer token, remembered for two seconds; None for anything else."""
        now_us = self._clock()
        key = self._known_as(bearer, now_us)
        if key is None or not key.works(now_us):
            return None
        if now_us - self._touched.get(key.id, key.last_used_at_us or 0) >= _MINUTE_US:
            self._touch(key.id, now_us)
        return key

    def resting(self, bearer: str) -> ApiKey | None:
        """Return the key behind a bearer token that is switched off or past its date; None for any other."""
        now_us = self._clock()
        key = self._known_as(bearer, now_us)
        return None if key is None or key.revoked_at_us is not None or key.works(now_us) else key

    def _known_as(self, bearer: str, now_us: int) -> ApiKey | None:
        if not credentials.looks_like_key(bearer):
            return None
        mark = verifier(self._pepper, bearer)
        known = self._known.get(mark)
        if known is None or not 0 <= now_us - known[1] < _KEY_CACHE_US:
            known = self._look_up(mark, now_us)
        return None if known is None else known[0]

    def _forget(self, which: Callable[[ApiKey], bool]) -> None:
        """Let go of what is remembered of some keys, so that they are judged anew."""
        with self._lock:
            for mark in [mark for mark, (key, _) in self._known.items() if which(key)]:
                del self._known[mark]

    def _look_up(self, mark: bytes, now_us: int) -> tuple[ApiKey, int] | None:
        with self._store.read() as conn:
            key = keys.by_verifier(conn, mark)
        if key is None:
            return None
        with self._lock:
            if len(self._known) >= _KEY_CACHE_MAX:
                self._known.clear()
            self._known[mark] = (key, now_us)
        return key, now_us

    def _touch(self, key_id: int, now_us: int) -> None:
        """Note that a key was used, at most once a minute and without keeping the request."""
        with self._lock:
            if now_us - self._touched.get(key_id, 0) < _MINUTE_US:
                return
            self._touched[key_id] = now_us
        threading.Thread(target=self._touch_now, args=(key_id, now_us), name="key-used", daemon=True).start()

    def _touch_now(self, key_id: int, now_us: int) -> None:
        try:
            with self._store.write() as conn:
                keys.touch_last_used(conn, key_id, now_us)
        except BroadcastError as error:
            _log.warning("action=key_touch_failed error=%s", type(error).__name__)


def _name(text: str) -> str:
    name = text.strip()
    if not 0 < len(name) <= 100:
        raise SettingsError({"name": "Give the key a name of at most 100 characters."})
    if not name.isprintable():
        raise SettingsError({"name": "Leave out line breaks and other characters that cannot be seen."})
    return name


def _check_end(expires_at_us: int | None, now_us: int) -> None:
    if expires_at_us is not None and expires_at_us <= now_us:
        raise SettingsError({"expires_at": "This is in the past."})
