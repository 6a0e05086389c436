"""This machine's instance as the command line sees it: the API's objects, read from the database itself.

It has the methods of `remote.Remote`, so that each command is written once. Whoever can read the database may
do everything, so nobody is asked for a key here.
"""

import contextlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import msgspec

from broadcast import query_text, replay, request_log, usage
from broadcast.errors import SettingsError
from broadcast.runtime import Services
from broadcast.status import statuses
from broadcast.store import workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.workspaces import Workspace

_OPTION: Final = "--workspace"


class Local:
    """One workspace of the local database; `slug` may be left out where there is one alone."""

    def __init__(self, services: Services, slug: str | None = None) -> None:
        self._services = services
        self._slug = slug

    def close(self) -> None:
        """Let go of the database."""
        self._services.close()

    # -- requests ------------------------------------------------------------------------------------

    def usage(self, asked: Mapping[str, str]) -> Any:
        """Return what the requests of a time came to."""
        from_us, to_us = query_text.span(asked, self._services.clock(), usage.SPAN_US)
        return usage.of(self._services.store, self._home, from_us, to_us)

    def requests(self, asked: Mapping[str, str], *, limit: int) -> Any:
        """Return a page of requests."""
        return request_log.page(self._services.store, self._home, asked, limit=limit)

    def request(self, receipt_id: str) -> Any:
        """Return one request with its receipt and its delivery."""
        services = self._services
        return _plain(request_log.one(services.store, services.connections, self._home, receipt_id))

    # -- destinations --------------------------------------------------------------------------------

    def status(self) -> Any:
        """Return what every destination is doing, of every workspace unless one is chosen."""
        asked = None if self._slug is None else (self._home,)
        return {"data": [item.view() for item in statuses(self._services, asked)]}

    def destinations(self) -> Any:
        """Return every destination."""
        found = self._services.connections.listed(self._home)
        return {"data": found, "total_count": len(found)}

    def test(self, uid: str) -> Any:
        """Send one marked span to a saved destination, and return the report."""
        return self._services.connections.test(self._home, {}, uid=uid, now_us=self._services.clock()).view()

    def pause(self, uid: str) -> Any:
        """Hold a destination's receipts back."""
        return self._shown(
            self._services.connections.pause(self._home, None, uid, now_us=self._services.clock())
        )

    def resume(self, uid: str) -> Any:
        """Let a paused destination send what it held."""
        return self._shown(
            self._services.connections.resume(self._home, None, uid, now_us=self._services.clock())
        )

    # -- replays -------------------------------------------------------------------------------------

    def replay(self, uid: str, body: Mapping[str, Any], *, dry_run: bool) -> Any:
        """Count what a replay would send, or begin it."""
        replays, now_us = self._services.replays, self._services.clock()
        wanted = replay.wanted_from(body)
        if dry_run:
            return {"data": replays.preview(self._home, uid, wanted, now_us=now_us).view()}
        return {"data": replay.view(replays.start(self._home, None, uid, wanted, now_us=now_us))}

    def replays(self, uid: str) -> Any:
        """Return the newest replays of a destination."""
        return self._services.replays.list(self._home, uid)

    def stop_replay(self, uid: str, replay_uid: str) -> Any:
        """Stop a replay."""
        replays, now_us = self._services.replays, self._services.clock()
        return {"data": replay.view(replays.stop(self._home, None, uid, replay_uid, now_us=now_us))}

    # -- the whole of it -----------------------------------------------------------------------------

    def switch(self) -> Any:
        """Return the workspace's Broadcast switch."""
        return {"data": {"enabled": self._home.broadcast_enabled}}

    def apply(self, body: Mapping[str, Any]) -> Any:
        """Make destinations and switch what settings say, or count what that would change."""
        services = self._services
        place = contextlib.nullcontext()
        return {
            "data": services.whole_settings.apply(self._home, None, body, clock=services.clock, place=place)
        }

    # -- inside --------------------------------------------------------------------------------------

    @cached_property
    def _home(self) -> Workspace:
        with self._services.store.read() as conn:
            every = workspaces.all(conn)
        if self._slug is None and len(every) == 1:
            return every[0]
        found = next((item for item in every if self._slug in {item.slug, item.uid}), None)
        if found is None:
            known = ", ".join(item.slug for item in every) or "none yet; run: broadcast bootstrap"
            raise SettingsError({_OPTION: f"Choose a workspace: {known}."})
        return found

    def _shown(self, stored: StoredDestination) -> Any:
        return {"data": self._services.connections.shown(self._home, stored)}


def _plain(answer: Any) -> Any:
    """Return an answer as its JSON reads, documents that are kept as JSON included."""
    return msgspec.json.decode(msgspec.json.encode(answer))
