"""All spans of one export become receipts: a receipt a request, its tries folded in, the rest told why not.

Only spans of the same export are put together. A part whose request came in another one is refused, because a
receipt is never changed once it is stored; the request itself is stored without that part.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from broadcast import genai_names as names
from broadcast.errors import ReceiptError
from broadcast.receipt import Receipt
from broadcast.receipt_words import refusal
from broadcast.sources import genai_aliases as aliases
from broadcast.sources import genai_facts, genai_spans
from broadcast.sources import openrouter_wire as wire
from broadcast.sources.genai_facts import Facts
from broadcast.sources.genai_spans import text_of
from broadcast.sources.loose import told
from broadcast.sources.openrouter_wire import Router
from broadcast.sources.otlp_reader import Export, SourceSpan
from broadcast.span import FAILED, Span
from broadcast.trace_context import trace_id_of

ORPHAN: Final = "part of a request whose own span is not in this export"
WRAPPER: Final = "it only holds other requests to a model, each of which is stored"

_MOST_LEVELS: Final = 32
_FROM_BELOW: Final = ("response_model", "finish_reason", "usage", "cost", "timing", "input", "output")
_Key = tuple[str, str]


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt, and how many spans it was made of."""

    receipt: Receipt
    spans: int


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What an export became; `refused` counts spans by the reason."""

    trees: list[Tree]
    refused: Counter[str]


def harvest(export: Export, *, key_hash: str | None = None) -> Harvest:
    """Return the receipts of an export; `key_hash` is the key that sent it, whatever the router calls it."""
    forest = _Forest(export)
    refused = Counter(export.unreadable)
    trees: list[Tree] = []
    for node in list(forest.requests.values()):
        if forest.is_inner(node):
            continue
        for whole in forest.trees_of(node, refused):
            try:
                made = _receipt(whole, key_hash)
            except ReceiptError as error:
                refused[error.message.rstrip(".")] += whole.size
            else:
                trees.append(Tree(receipt=made, spans=whole.size))
    refused.update(forest.left())
    return Harvest(trees=trees, refused=refused)


class _Node(msgspec.Struct, frozen=True, kw_only=True):
    """One span with whose it is."""

    source: SourceSpan
    router: Router | None
    part: wire.Part | None = None

    @property
    def span(self) -> Span:
        return self.source.span

    @property
    def key(self) -> _Key:
        return self.span.trace_id, self.span.span_id

    @property
    def above(self) -> _Key:
        return self.span.trace_id, self.span.parent_span_id


class _Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A request with all that belongs to it, sorted by what it is."""

    node: _Node
    roots: list[_Node] = []
    parts: list[_Node] = []
    inner: list[_Node] = []
    calls: list[_Node] = []
    passed: int = 0

    @property
    def size(self) -> int:
        return 1 + sum(map(len, (self.roots, self.parts, self.inner, self.calls))) + self.passed


class _Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A request inside another, with its own facts."""

    span: Span
    facts: Facts


class _Forest:
    """The spans of an export by what they are; what a receipt was made of is taken out."""

    def __init__(self, export: Export) -> None:
        self.requests: dict[_Key, _Node] = {}
        self._parts: dict[_Key, _Node] = {}
        self._others: dict[_Key, tuple[_Node, str]] = {}
        self._below: dict[_Key, list[_Node]] = {}
        seen: set[_Key] = set()
        for source in export.spans:
            router = wire.router_of(source.resource)
            part = wire.part_of(source.span, router) if router else None
            node = _Node(source=source, router=router, part=part)
            # The same span twice in one export is the same span.
            if node.key in seen or genai_spans.is_test(node.span, source.resource):
                continue
            seen.add(node.key)
            self._place(node)
        self._routed = {node.above for node in self.requests.values() if node.router is not None}
        for node in self.requests.values():
            top = self._top(node)
            if top.key != node.key:
                self._below.setdefault(top.key, []).append(node)
        for node in [*self._parts.values(), *(other for other, _ in self._others.values())]:
            if node.above in self.requests:
                self._below.setdefault(node.above, []).append(node)

    def _place(self, node: _Node) -> None:
        if node.part is not None:
            self._parts[node.key] = node
        elif (reason := genai_spans.why_not(node.span)) is None:
            self.requests[node.key] = node
        else:
            self._others[node.key] = (node, reason)

    def _top(self, node: _Node) -> _Node:
        """Return the outermost request around one; spans that stand in a ring have none around them.

        A router's request is one of its own, wherever its caller put it.
        """
        top = node
        for _ in range(_MOST_LEVELS):
            around = self.requests.get(top.above)
            if around is None or top.router is not None:
                return top
            top = around
        return node

    def is_inner(self, node: _Node) -> bool:
        """Return whether a request stands inside another."""
        return self._top(node).key != node.key

    def trees_of(self, node: _Node, refused: Counter[str]) -> Iterator[_Whole]:
        """Return what is stored of a request and of those inside it: one, or each of several."""
        inner = [below for below in self._below.get(node.key, ()) if below.key in self.requests]
        holding = {below.above for below in inner}
        last = [below for below in inner if below.key not in holding]
        if self._only_holds(node, last):
            refused[WRAPPER] += 1 + len(inner) - len(last)
            for below in last:
                yield self._take(below, [], passed=0)
            return
        yield self._take(node, last, passed=len(inner) - len(last))

    def _only_holds(self, node: _Node, last: list[_Node]) -> bool:
        """Return whether a client's span says nothing of its own: what it holds is told better by others."""
        if node.router is not None:
            return False
        several = sum(_succeeded(below.span) for below in last) > 1 and not genai_facts.has_usage(node.span)
        return several or node.key in self._routed

    def _take(self, node: _Node, inner: list[_Node], *, passed: int) -> _Whole:
        below = self._below.get(node.key, ())
        parts = [self._parts.pop(one.key) for one in below if one.key in self._parts]
        calls = [
            self._others.pop(one.key)[0]
            for one in below
            if one.key in self._others and not inner and genai_spans.is_call_of(one.span, node.span)
        ]
        roots: list[_Node] = []
        above = node.above
        while (root := self._parts.get(above)) is not None and _is_root_of(root, node):
            roots.append(self._parts.pop(above))
            above = root.above
        return _Whole(node=node, roots=roots, parts=parts, inner=inner, calls=calls, passed=passed)

    def left(self) -> Counter[str]:
        """Return why what is left was not stored."""
        return Counter([ORPHAN] * len(self._parts) + [reason for _, reason in self._others.values()])


def _is_root_of(root: _Node, node: _Node) -> bool:
    return root.part in {"trace_name", "span_name"} and root.router == node.router


def _succeeded(span: Span) -> bool:
    return span.status_code != FAILED and text_of(span.attributes, (names.ERROR_TYPE,)) is None


# -- one receipt -------------------------------------------------------------------------------------


def _receipt(whole: _Whole, key_hash: str | None) -> Receipt:
    """Return the receipt of a request; raise `ReceiptError` naming the field that it cannot have."""
    node = whole.node
    facts = genai_facts.facts_of(node.source, node.router)
    facts["id"] = genai_facts.receipt_id(node.span, node.router)
    if node.router is not None and node.router.id != facts["id"]:
        facts.setdefault("request_id", node.router.id)
    inner = [
        _Inner(span=below.span, facts=genai_facts.facts_of(below.source, below.router))
        for below in whole.inner
    ]
    for below in inner:
        if _succeeded(below.span):
            _complete(facts, below.facts)
    facts |= told((("attempts", _attempts(whole, inner, facts)), ("routing", _routing(whole))))
    if any(part.part == "stream" for part in whole.parts):
        facts["streamed"] = True
    facts["trace"] = facts.get("trace", {}) | _place(whole, facts)
    name = genai_facts.key_name(node.span.attributes, node.router)
    if name is not None:
        facts["api_key"] = told((("hash", key_hash), ("name", name)))
    if not facts["trace"]:
        del facts["trace"]
    try:
        return msgspec.convert(facts, Receipt)
    except msgspec.ValidationError as error:
        raise refusal(str(error)) from None


def _complete(facts: Facts, below: Facts) -> None:
    """Take from the request inside what the one around it does not say."""
    for name in _FROM_BELOW:
        if name not in facts and name in below:
            facts[name] = below[name]


def _place(whole: _Whole, facts: Facts) -> Facts:
    """Return where the spans belong and what they are called, in the words of `trace`."""
    span, router = whole.node.span, whole.node.router
    parent = whole.roots[-1].span.parent_span_id if whole.roots else span.parent_span_id
    if router is not None and wire.is_own_root(router, parent):
        # A root that came in another export is made anew, where it was.
        parent = ""
    named: dict[str, Any] = {root.part: root.span.name for root in whole.roots if root.part}
    said = text_of(span.attributes, (names.TRACE_NAME, "langfuse.trace.name"))
    if said and said not in wire.DEFAULT_NAMES and (router is not None or not parent):
        named.setdefault("trace_name", said)
    if span.name and span.name not in {genai_facts.default_name(facts), *wire.DEFAULT_NAMES}:
        named["generation_name"] = span.name
    if parent:
        named["parent_span_id"] = parent
    # A trace that began with the request has an id made from the request's: it says nothing of its own.
    own = Receipt(id=facts["id"], model="-", status="succeeded", created_at_us=0, duration_us=0)
    if parent or trace_id_of(own) != span.trace_id:
        named["trace_id"] = span.trace_id
    return named


def _routing(whole: _Whole) -> Facts:
    router = whole.node.router
    profile = text_of(whole.node.span.attributes, (router.own.routing_profile,)) if router else None
    routes = [part.span for part in whole.parts if part.part == "route"]
    return told((("profile", profile),)) | (wire.route_of(routes[0]) if routes else {})


def _attempts(whole: _Whole, inner: list[_Inner], facts: Facts) -> list[Facts]:
    """Return the tries of a request, in order; the last one made the answer and has its id."""
    generation = whole.node.span
    made = _tries(whole, inner, facts)
    response_id = text_of(generation.attributes, aliases.RESPONSE_ID)
    if response_id in (None, facts["id"], facts.get("request_id")) or "provider" not in facts:
        return made
    if not made:
        made = [{"provider": facts["provider"], **wire.timed_attempt(generation, generation)}]
    made[-1].setdefault("id", response_id)
    return made


def _tries(whole: _Whole, inner: list[_Inner], facts: Facts) -> list[Facts]:
    generation, router = whole.node.span, whole.node.router
    tried = [part.span for part in whole.parts if part.part == "attempt"]
    if tried and router:
        tried.sort(key=lambda span: (wire.attempt_index(span) or 0, span.start_ns))
        responses = wire.responses_of(generation)
        return [wire.attempt_of(span, generation, router, responses) for span in tried]
    if inner:
        by_start = sorted(inner, key=lambda told: told.span.start_ns)
        return [_inner_attempt(told, generation, facts) for told in by_start]
    calls = sorted((node.span for node in whole.calls), key=lambda span: span.start_ns)
    provider = facts.get("provider") or generation.attributes["server.address"] if calls else ""
    return [{"provider": provider, **wire.timed_attempt(span, generation)} for span in calls]


def _inner_attempt(inner: _Inner, generation: Span, facts: Facts) -> Facts:
    return {
        **wire.timed_attempt(inner.span, generation),
        **told(
            (
                ("provider", inner.facts.get("provider") or facts.get("provider") or "unknown"),
                ("model", inner.facts.get("model")),
                ("id", text_of(inner.span.attributes, aliases.RESPONSE_ID)),
            )
        ),
    }
