"""Encoding and compressing against the peers, in the same process and on the same spans."""

import zlib
from collections.abc import Callable

from opentelemetry.sdk.resources import Resource

from broadcast import allocator, genai, otlp, receipt_parser
from broadcast.compression import gzip_fast
from broadcast.destination import envelope
from broadcast.receipt import Receipt
from broadcast.span import ResourceSpans
from tests.benchmarks import peer, workload
from tests.benchmarks.measure import cpu_seconds
from tests.benchmarks.table import Row

BATCH = 512
KILO = 1000
NAMESPACE = "openrouter"
RETENTION_US = 30 * 86_400_000_000


def rows(now_us: int) -> list[Row]:
    """Return every comparison of this file."""
    # As in the program itself; the peer in the same process gains from it too.
    allocator.keep_memory()
    found: list[Row] = []
    for label, count, content_bytes, target in (
        ("no content", BATCH, 0, 8.0),
        ("20 KB content", 100, 20 * KILO, 5.0),
    ):
        receipts = parsed(count, content_bytes, now_us)
        trees = [tree(receipt) for receipt in receipts]
        found += [
            _spans_to_bytes(label, trees, target),
            _receipts_to_bytes(label, receipts, trees),
            _compressed(label, trees),
        ]
    return found


def parsed(count: int, content_bytes: int, now_us: int) -> list[Receipt]:
    """Return receipts as ingest has them."""
    items = workload.receipts(workload.generated(count), ends_us=now_us, content_bytes=content_bytes)
    return [parse(item, now_us) for item in items]


def parse(item: bytes, now_us: int) -> Receipt:
    """Return the receipt of one item."""
    return receipt_parser.parse(item, now_us=now_us, retention_us=RETENTION_US)


def tree(receipt: Receipt) -> ResourceSpans:
    """Return the spans of a receipt as delivery makes them."""
    content = receipt_parser.content(receipt)
    options = genai.SpanOptions(content=content is not None)
    return genai.spans(receipt, namespace=NAMESPACE, content=content, options=options)


def _spans_to_bytes(label: str, trees: list[ResourceSpans], target: float) -> Row:
    resource = Resource(dict(trees[0].resource))
    ours, theirs = _us_each(
        len(trees),
        lambda: envelope("json", tuple(map(otlp.encode, trees))),
        lambda: peer.encode([span for one in trees for span in peer.readable(one, resource)]),
    )
    return Row(
        name=f"spans to bytes, {label}",
        unit="CPU us a receipt of one span",
        ours=ours,
        peer=theirs,
        peer_name="opentelemetry-python",
        ratio=theirs / ours,
        target=target,
    )


def _receipts_to_bytes(label: str, receipts: list[Receipt], trees: list[ResourceSpans]) -> Row:
    resource = Resource(dict(trees[0].resource))
    # The peer knows no receipts: it is given ours as spans, so the cost of making those is in both.
    ours, theirs = _us_each(
        len(receipts),
        lambda: envelope("json", tuple(otlp.encode(tree(one)) for one in receipts)),
        lambda: peer.encode([span for one in receipts for span in peer.readable(tree(one), resource)]),
    )
    return Row(
        name=f"receipt to bytes, {label}",
        unit="CPU us a receipt of one span",
        ours=ours,
        peer=theirs,
        peer_name="our spans, their encoder",
        ratio=theirs / ours,
    )


def _compressed(label: str, trees: list[ResourceSpans]) -> Row:
    body = envelope("json", tuple(map(otlp.encode, trees)))
    ours = cpu_seconds(lambda: gzip_fast(body))
    theirs = cpu_seconds(lambda: zlib.compress(body, 6, wbits=31))
    larger = len(gzip_fast(body)) / len(zlib.compress(body, 6, wbits=31))
    return Row(
        name=f"gzip, {label} ({larger:.0%} of its size)",
        unit="MB a CPU-second",
        ours=len(body) / ours / 1e6,
        peer=len(body) / theirs / 1e6,
        peer_name="zlib level 6",
        ratio=theirs / ours,
    )


def _us_each(count: int, ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Take turns, so that both meet the same machine and the same warm allocator."""
    rounds = [(cpu_seconds(ours, runs=1), cpu_seconds(theirs, runs=1)) for _ in range(15)]
    return min(one for one, _ in rounds) / count * 1e6, min(one for _, one in rounds) / count * 1e6
