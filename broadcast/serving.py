"""The web server and the worker as processes: start, watch, stop. Door: granian."""

import contextlib
import ctypes
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Final

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from broadcast.config import Config

_log: Final = logging.getLogger(__name__)
_APPLICATION: Final = "broadcast.__main__:application"
_PR_SET_PDEATHSIG: Final = 1
_STOP_S: Final = 20
BLOCKING_THREADS: Final = 512


def serve_web(config: Config, on_hangup: Callable[[], None]) -> None:
    """Serve pages and API until SIGTERM or Ctrl-C; the application is built in granian's own process."""
    server = Server(
        _APPLICATION,
        factory=True,
        interface=Interfaces.WSGI,
        address=config.host,
        port=config.port,
        blocking_threads=BLOCKING_THREADS,
        backlog=1024,
        backpressure=BLOCKING_THREADS,
        workers_kill_timeout=_STOP_S,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
        process_name=None,
    )
    # Its own SIGHUP would start the application anew, and end long streams.
    server.signal_handler_reload = lambda *_: on_hangup()  # type: ignore[method-assign]
    server.serve()


class WorkerProcess:
    """The worker as a child process, started again when it ends by itself."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._child = self._start()
        self._watcher = threading.Thread(target=self._watch, name="worker-watcher", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Ask the worker to finish what is in flight, and wait for it."""
        self._stopping.set()
        self._child.terminate()
        try:
            self._child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-m", "broadcast", "worker"])

    def _watch(self) -> None:
        while not self._stopping.is_set():
            code = self._child.wait()
            # A pause, so that a worker that cannot start does not fill the log.
            if self._stopping.wait(1.0):
                return
            _log.error("action=worker_restarted exit_code=%s", code)
            self._child = self._start()


def hear_hangup(on_hangup: Callable[[], None]) -> None:
    """Do this on SIGHUP, where the system has it, already before the server listens."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: on_hangup())


def leave_hangup_to_parent() -> None:
    """Let a SIGHUP for the whole group be the parent's: it would end this process."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def end_with_parent() -> None:
    """Ask the kernel to stop this process when its parent dies, so that a killed parent leaves no orphan.

    Linux only (prctl, PR_SET_PDEATHSIG); elsewhere a supervisor has to stop the whole group.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
