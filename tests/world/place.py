"""The real program with a destination: what any source sends arrives at a real OTLP receiver."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.program import Program, free_port, program
from tests.receiver import Receiver, SeenSpan

PATIENCE_S = 60


@dataclass(frozen=True, kw_only=True)
class Place:
    """`broadcast serve`, with one destination that gets everything."""

    program: Program
    receiver: Receiver

    @property
    def api(self) -> str:
        """The base of the HTTP API."""
        return f"{self.program.url()}/api/v1"

    def trace_with(self, is_it: Callable[[SeenSpan], bool]) -> "Trace":
        """Wait for a span, and return all spans of its receipt."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            spans = self.receiver.spans()
            for found in spans:
                if is_it(found):
                    same = [span for span in spans if span.resource == found.resource]
                    return Trace(spans={span.span_id: span for span in same})
            time.sleep(0.1)
        names = [span.name for span in self.receiver.spans()]
        raise AssertionError(f"no such span came in {PATIENCE_S} s, only {names}")


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The spans of one receipt, as they arrived."""

    spans: dict[str, SeenSpan]

    @property
    def generation(self) -> SeenSpan:
        """The one span that carries tokens and cost."""
        (found,) = [span for span in self.spans.values() if "gen_ai.operation.name" in span.attributes]
        return found

    def above(self, span: SeenSpan) -> SeenSpan:
        """Return the parent of a span."""
        return self.spans[span.parent_span_id]

    def below(self, span: SeenSpan) -> list[SeenSpan]:
        """Return the children of a span, the first to start first."""
        found = [one for one in self.spans.values() if one.parent_span_id == span.span_id]
        return sorted(found, key=lambda one: (one.start_ns, one.name))


@contextmanager
def serving(folder: Path) -> Iterator[Place]:
    """Serve the demo's models to a workspace that sends all of its requests, with content, to a receiver."""
    with Receiver() as receiver, started(folder, egress=f"127.0.0.1:{receiver.port}") as running:
        running.connect("Receiver", receiver.url("/v1/traces"))
        running.switch_on()
        receiver.clear()
        yield Place(program=running, receiver=receiver)


@contextmanager
def started(folder: Path, *, egress: str) -> Iterator[Program]:
    """Start `broadcast serve` with a workspace in it; at the end it stops by itself, and has no complaint."""
    folder.mkdir(parents=True)
    with program(folder, None, egress=egress) as running:
        running.ports["web-1"] = free_port()
        running.environment |= {"BROADCAST_PORT": str(running.ports["web-1"]), "BROADCAST_DEMO": "1"}
        running.bootstrap()
        running.start("serve-1")
        running.wait_until_ready()
        yield running
        assert running.terminate("serve-1") == 0
        assert running.complaints() == []
