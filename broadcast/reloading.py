"""What the operator may change without a restart: the operator's export, and the file of upstreams.

Whoever is told (a start, `broadcast reload`, SIGHUP) reads files and variables, declares the export in the
database, where every process sees it, and counts a reload there; each web process then reads the upstreams
again. A request that is under way keeps the upstreams it began with.
"""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from broadcast import operator_declaration
from broadcast.config import Config
from broadcast.errors import BroadcastError, ConfigError, Unavailable
from broadcast.gateway import load_upstreams
from broadcast.operator_declaration import Declaration
from broadcast.store import operator_exports

if TYPE_CHECKING:
    from broadcast.runtime import Services

_LOOK_S: Final = 1.0
_log: Final = logging.getLogger(__name__)


def declared(config: Config) -> Declaration | None:
    """Return what variables and file declare; raise `ConfigError`."""
    return operator_declaration.read(config.variables, config.otel_config)


def begin(services: "Services") -> int:
    """Bring the operator's export up to date with what this process was started with.

    Return how many workspaces have it; raise `ConfigError` for what is wrong in a variable or in the file.
    """
    return services.operator_exports.bring_up_to_date(declared(services.config), services.clock)


def reload(services: "Services") -> int:
    """Do the same for a program just built, and have every web process read its upstreams again."""
    count = begin(services)
    with services.store.write() as conn:
        operator_exports.count_reload(conn)
    _log.info("action=reloaded workspaces=%s", count)
    return count


def on_hangup(build: Callable[[], "Services"]) -> Callable[[], None]:
    """Return what a process does on SIGHUP; what goes wrong is logged, and everything stays as it was."""

    def again() -> None:
        try:
            services = build()
        except BroadcastError as error:
            _log.error("action=reload_failed reason=%s", error)
            return
        try:
            reload(services)
        except BroadcastError as error:
            _log.error("action=reload_failed reason=%s", error)
        finally:
            services.close()

    return lambda: threading.Thread(target=again, name="reload", daemon=True).start()


class Watch:
    """Has a web process read its upstreams again whenever a reload was counted."""

    def __init__(self, services: "Services", load: Callable[[], Config]) -> None:
        self._services = services
        self._load = load
        # The first look reads them too: a reload may have been counted while this process started.
        self._seen: int | None = None

    def start(self) -> None:
        """Look every second from now on, in a thread that ends with the process."""
        threading.Thread(target=self._look_on, name="reload-watch", daemon=True).start()

    def look(self) -> bool:
        """Read the upstreams again if that was asked for; return whether they were replaced."""
        with self._services.store.read() as conn:
            reloads = operator_exports.get(conn).reloads
        if reloads == self._seen:
            return False
        self._seen = reloads
        try:
            config = self._load()
            upstreams = load_upstreams(config.upstreams, config.variables, with_demo=config.demo)
        except ConfigError as error:
            _log.error("action=reload_failed reason=%s", error)
            return False
        self._services.gateway.use(upstreams)
        return True

    def _look_on(self) -> None:
        never = threading.Event()
        while not never.wait(_LOOK_S):
            try:
                self.look()
            except Unavailable:
                # Whoever needs the database says so; the next look finds what was counted meanwhile.
                continue
            except Exception:  # noqa: BLE001 - logged; the next look tries again
                _log.exception("action=reload_watch_failed")
