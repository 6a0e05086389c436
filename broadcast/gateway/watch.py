"""Notice clients that take nothing of their stream, and end what they hold up.

A server that cannot send asks for no more: nobody calls us then, so a thread of its own has to look. It
closes the provider and sees to the receipt; the slot stays taken until the server lets go of the answer,
because the server's own thread is held up for as long.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

_log: Final = logging.getLogger(__name__)
_LIMIT_S: Final = 60.0
_PARTS: Final = 20
"""The watch looks at most so many times within its limit."""


class Stream(Protocol):
    """The body of an answer as it is made."""

    def __next__(self) -> bytes:
        """Return the next part."""

    def close(self, why: str = ...) -> None:
        """Let go of the provider."""


class Watched:
    """A stream under watch: it ends once, by its reader or by the watch, and then its `then` is called."""

    def __init__(self, stream: Stream, watch: "Watch", released: Callable[[], None]) -> None:
        self._stream = stream
        self._watch = watch
        self._released = released
        # Held while the stream works: a provider that takes its time is not a client that takes nothing.
        self._lock = threading.Lock()
        self._handed_s = time.monotonic()
        self._ended = False
        self._thens: list[Callable[[], None]] = []

    def then(self, callback: Callable[[], None]) -> None:
        """Have something done, once, when this has ended."""
        self._thens.append(callback)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._lock:
            if self._ended:
                raise StopIteration
            try:
                return next(self._stream)
            finally:
                self._handed_s = time.monotonic()

    def close(self) -> None:
        """End it, as the server does when everything is sent or the client has gone."""
        self._watch.forget(self)
        try:
            with self._lock:
                self._end()
        finally:
            self._released()

    def end_if_stalled(self, limit_s: float) -> float:
        """End it when its client took nothing for so long; return how long it may stand still from now."""
        if not self._lock.acquire(blocking=False):
            return limit_s
        try:
            left_s = self._handed_s + limit_s - time.monotonic()
            if left_s <= 0:
                self._end(f"The client took nothing for {limit_s:g} s.")
                self._watch.forget(self)
            return left_s
        finally:
            self._lock.release()

    def _end(self, *why: str) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            self._stream.close(*why)
        finally:
            for callback in self._thens:
                callback()


class Watch:
    """One thread over every stream under way; it starts with the first of them."""

    def __init__(self, *, limit_s: float = _LIMIT_S) -> None:
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._watched: set[Watched] = set()
        self._some = threading.Event()
        self._thread: threading.Thread | None = None

    def over(self, stream: Stream, released: Callable[[], None]) -> Watched:
        """Return the stream under watch; `released` is called when the server has let go of it."""
        watched = Watched(stream, self, released)
        with self._lock:
            self._watched.add(watched)
            self._some.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="stalled-clients", daemon=True)
                self._thread.start()
        return watched

    def forget(self, watched: Watched) -> None:
        """Look at it no more."""
        with self._lock:
            self._watched.discard(watched)
            if not self._watched:
                self._some.clear()

    def _look(self) -> None:
        while True:
            self._some.wait()
            with self._lock:
                watched = tuple(self._watched)
            left_s = min((self._left_s(one) for one in watched), default=0)
            time.sleep(max(left_s, self._limit_s / _PARTS))

    def _left_s(self, one: Watched) -> float:
        try:
            return one.end_if_stalled(self._limit_s)
        except Exception as error:  # noqa: BLE001 - one stream must not leave the others unwatched
            _log.warning("action=stalled_not_ended error=%s", type(error).__name__)
            self.forget(one)
            return self._limit_s
