"""Another machine's instance as the command line sees it: the API over HTTP, its errors as our own.

It has the methods of `local.Local`, so that each command is written once.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from broadcast.config import is_address
from broadcast.errors import (
    BroadcastError,
    ConfigError,
    Conflict,
    Forbidden,
    NotApplied,
    NotFound,
    SendFailed,
    SettingsError,
    TooManyRequests,
    Unavailable,
)
from broadcast.outbound import Outbound, Reply

_MOST_BYTES: Final = 64 * 2**20
_PAGE: Final = 100
_READS: Final = "a key with the scope usage:read, or a management key"
_MANAGES: Final = "a management key, which begins with sk-mgmt-"
_DESTINATIONS: Final = "/observability/destinations"


class Remote:
    """One workspace of an instance at a URL; the key's own unless `workspace`, a slug or an id, is given."""

    def __init__(self, url: str, key: str, workspace: str | None = None) -> None:
        self._url = _base(url)
        if not re.fullmatch(r"[!-~]+", key):
            raise ConfigError(
                f"{self._url} wants a key. Give {_READS}, with --key or in BROADCAST_KEY."
                if not key
                else "The key holds characters that no key has. Copy it again."
            )
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._home = {} if workspace is None else {"workspace_id": workspace}
        self._outbound = Outbound(connections=1)

    def close(self) -> None:
        """Close the connection."""
        self._outbound.close()

    # -- requests ------------------------------------------------------------------------------------

    def usage(self, asked: Mapping[str, str]) -> Any:
        """Return what the requests of a time came to."""
        return self._call("GET", "/usage", asked, needs=_READS)

    def requests(self, asked: Mapping[str, str], *, limit: int) -> Any:
        """Return a page of requests."""
        return self._call("GET", "/requests", {**asked, "limit": str(limit)}, needs=_READS)

    def request(self, receipt_id: str) -> Any:
        """Return one request with its receipt and its delivery."""
        return self._call("GET", f"/requests/{quote(receipt_id, safe='')}", needs=_READS)

    # -- destinations --------------------------------------------------------------------------------

    def status(self) -> Any:
        """Return what every destination is doing."""
        return self._call("GET", "/observability/status")

    def destinations(self) -> Any:
        """Return every destination."""
        found: list[Any] = []
        while True:
            asked = {"offset": str(len(found)), "limit": str(_PAGE)}
            page = self._call("GET", _DESTINATIONS, asked)
            found += page["data"]
            if len(page["data"]) < _PAGE:
                return {**page, "data": found}

    def test(self, uid: str) -> Any:
        """Send one marked span to a saved destination, and return the report."""
        return self._call("POST", f"{_DESTINATIONS}/{uid}/test", body={})

    def pause(self, uid: str) -> Any:
        """Hold a destination's receipts back."""
        return self._call("POST", f"{_DESTINATIONS}/{uid}/pause", body={})

    def resume(self, uid: str) -> Any:
        """Let a paused destination send what it held."""
        return self._call("POST", f"{_DESTINATIONS}/{uid}/resume", body={})

    # -- replays -------------------------------------------------------------------------------------

    def replay(self, uid: str, body: Mapping[str, Any], *, dry_run: bool) -> Any:
        """Count what a replay would send, or begin it."""
        return self._call("POST", f"{_DESTINATIONS}/{uid}/replay", body={**body, "dry_run": dry_run})

    def replays(self, uid: str) -> Any:
        """Return the newest replays of a destination."""
        return self._call("GET", f"{_DESTINATIONS}/{uid}/replays")

    def stop_replay(self, uid: str, replay_uid: str) -> Any:
        """Stop a replay."""
        place = quote(replay_uid, safe="")
        return self._call("POST", f"{_DESTINATIONS}/{uid}/replays/{place}/stop", body={})

    # -- the whole of it -----------------------------------------------------------------------------

    def switch(self) -> Any:
        """Return the workspace's Broadcast switch."""
        return self._call("GET", "/broadcast")

    def apply(self, body: Mapping[str, Any]) -> Any:
        """Make destinations and switch what settings say, or count what that would change."""
        return self._call("POST", "/observability/apply", body=body)

    # -- inside --------------------------------------------------------------------------------------

    def _call(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        needs: str = _MANAGES,
    ) -> Any:
        query = urlencode({**(asked or {}), **self._home})
        url = f"{self._url}/api/v1{path}" + (f"?{query}" if query else "")
        sent = None if body is None else msgspec.json.encode(body)
        try:
            reply = self._outbound.send(method, url, headers=self._headers, body=sent)
            try:
                raw = reply.read(_MOST_BYTES)
            finally:
                reply.close()
        except SendFailed as error:
            raise Unavailable(
                f"Nothing answers at {self._url}: {error} Check the address, and that Broadcast runs there."
            ) from None
        answer = self._read(reply, raw)
        if reply.status < 400:
            return answer
        raise _error(self._url, reply, answer["error"], needs)

    def _read(self, reply: Reply, raw: bytes) -> Any:
        """Return the JSON of an answer of Broadcast's; raise for any other."""
        try:
            answer = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            answer = None
        has_error = isinstance(answer, dict) and isinstance(answer.get("error"), dict)
        if has_error if reply.status >= 400 else reply.status < 300 and isinstance(answer, dict):
            return answer
        where = reply.headers.get("location")
        moved = f" It leads to {where}." if where and reply.status < 400 else ""
        raise Unavailable(
            f"{self._url} does not answer as Broadcast does (status {reply.status}).{moved} "
            "Give the address that its pages have, without a path."
        )


def _base(url: str) -> str:
    base = url.strip().rstrip("/").removesuffix("/api/v1")
    if not is_address(base):
        raise SettingsError({"--url": "Enter an address such as https://broadcast.example.com."})
    return base


def _error(url: str, reply: Reply, error: Mapping[str, Any], needs: str) -> BroadcastError:
    """Return the error of ours that an answer tells of."""
    status, message, metadata = reply.status, str(error.get("message", "")), error.get("metadata") or {}
    if status == 422:
        return _wrong(message, metadata)
    if status in {429, 503}:
        text = reply.headers.get("retry-after", "")
        wait_s = int(text) if text.isdigit() else 1
        kind = TooManyRequests if status == 429 else Unavailable
        return kind(f"{message} Try again in {wait_s} s.", retry_after_s=wait_s)
    unknown = f"{url} does not know this key. Give {needs}, with --key or in BROADCAST_KEY."
    known: Mapping[int, BroadcastError] = {
        401: Forbidden(unknown),
        403: Forbidden(f"{message} This needs {needs}."),
        404: NotFound(message),
        409: Conflict(message, field=metadata.get("field"), reason=metadata.get("reason") or "conflict"),
    }
    return known.get(status) or BroadcastError(message or f"{url} answered with status {status}.")


def _wrong(message: str, metadata: Mapping[str, Any]) -> BroadcastError:
    """Return what a 422 tells of: whole settings, single fields, or something else."""
    reason = metadata.get("reason")
    if reason == "not_applied":
        return NotApplied(metadata["problems"], tuple(metadata["saved"]))
    if reason == "invalid":
        return SettingsError(metadata.get("fields") or {metadata.get("field") or "request": message})
    return BroadcastError(message)
