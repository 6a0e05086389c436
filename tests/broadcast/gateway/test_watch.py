import threading
import time
from dataclasses import dataclass, field

import pytest

from broadcast.gateway.watch import Watch

LIMIT_S = 0.1
WITHIN_S = 10


@dataclass
class Stream:
    """A stream that remembers why it was closed; `held` holds up its next part."""

    held: threading.Event | None = None
    closed: list[str] = field(default_factory=list)

    def __next__(self) -> bytes:
        if self.held:
            self.held.wait(WITHIN_S)
        return b"part"

    def close(self, why: str = "read to its end") -> None:
        self.closed.append(why)


def nothing() -> None:
    pass


def test_a_stream_that_nobody_takes_from_is_closed() -> None:
    ended = threading.Event()
    stream = Stream()
    watched = Watch(limit_s=LIMIT_S).over(stream, nothing)
    watched.then(ended.set)
    assert next(watched) == b"part"
    assert ended.wait(WITHIN_S)
    assert stream.closed == ["The client took nothing for 0.1 s."]
    assert list(watched) == []


def test_a_stream_of_which_nobody_takes_the_first_part_is_closed() -> None:
    ended = threading.Event()
    Watch(limit_s=LIMIT_S).over(Stream(), nothing).then(ended.set)
    assert ended.wait(WITHIN_S)


def test_a_provider_that_takes_its_time_is_not_a_client_that_stalls() -> None:
    stream = Stream(held=threading.Event())
    watched = Watch(limit_s=5 * LIMIT_S).over(stream, nothing)
    taken: list[bytes] = []
    reader = threading.Thread(target=lambda: taken.append(next(watched)))
    reader.start()
    time.sleep(10 * LIMIT_S)
    assert stream.closed == []
    assert stream.held is not None
    stream.held.set()
    reader.join()
    assert taken == [b"part"]
    watched.close()


def test_the_slot_is_kept_until_the_server_lets_go() -> None:
    ended, released = threading.Event(), threading.Event()
    watched = Watch(limit_s=LIMIT_S).over(Stream(), released.set)
    watched.then(ended.set)
    assert ended.wait(WITHIN_S)
    assert not released.is_set()
    watched.close()
    assert released.is_set()


def test_what_follows_is_done_once_however_often_it_ends() -> None:
    stream, done = Stream(), []
    watched = Watch(limit_s=LIMIT_S).over(stream, nothing)
    watched.then(lambda: done.append(1))
    watched.close()
    watched.close()
    assert (stream.closed, done) == (["read to its end"], [1])


def test_one_stream_that_cannot_be_ended_leaves_the_others_watched() -> None:
    def fail() -> None:
        raise RuntimeError("The writer is gone.")

    watch, ended = Watch(limit_s=LIMIT_S), threading.Event()
    watch.over(Stream(), nothing).then(fail)
    time.sleep(2 * LIMIT_S)
    watch.over(Stream(), nothing).then(ended.set)
    assert ended.wait(WITHIN_S)


def test_what_is_to_follow_is_done_even_when_the_provider_cannot_be_let_go() -> None:
    class Stuck(Stream):
        def close(self, why: str = "read to its end") -> None:
            raise OSError(why)

    done: list[str] = []
    watched = Watch().over(Stuck(), lambda: done.append("released"))
    watched.then(lambda: done.append("receipt"))
    with pytest.raises(OSError, match="read to its end"):
        watched.close()
    assert done == ["receipt", "released"]
