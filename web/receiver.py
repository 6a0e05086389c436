"""The demo's own OTLP receiver: takes spans like a vendor would, and remembers the newest for its page."""

import hmac
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Blueprint, Response, request

from broadcast.compression import gunzip_bounded
from broadcast.demo import receiver_token
from broadcast.errors import NotFound, ReceiptError
from broadcast.sources import otlp_answer, otlp_reader
from broadcast.sources.otlp_answer import JSON, PROTOBUF
from broadcast.span import Attributes, Span, Value
from web import security

blueprint: Final = Blueprint("receiver_endpoint", __name__)
MAX_SPANS: Final = 500
_MAX_WORKSPACES: Final = 100
_MAX_BODY: Final = 8 * 2**20


@dataclass(frozen=True, kw_only=True)
class Received:
    """One span as it arrived, with its resource and how it came."""

    span: Span
    resource: Attributes
    arrived_us: int
    encoding: str


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The spans of one trace, in the order of their arrival."""

    id: str
    spans: tuple[Received, ...] = field(repr=False)

    @property
    def arrived_us(self) -> int:
        """When the first of them came."""
        return self.spans[0].arrived_us

    @property
    def root(self) -> Span:
        """The span above the others."""
        own = {found.span.span_id for found in self.spans}
        tops = [found.span for found in self.spans if found.span.parent_span_id not in own]
        return min(tops or [found.span for found in self.spans], key=lambda span: span.start_ns)


class Inbox:
    """The newest spans of each workspace, in memory; a span sent again takes the place of the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: OrderedDict[str, OrderedDict[tuple[str, str], Received]] = OrderedDict()

    def add(self, workspace_uid: str, received: list[Received]) -> None:
        """Keep what arrived, and let go of the oldest beyond 500 spans."""
        with self._lock:
            box = self._spans.setdefault(workspace_uid, OrderedDict())
            self._spans.move_to_end(workspace_uid)
            for found in received:
                box[found.span.trace_id, found.span.span_id] = found
            while len(box) > MAX_SPANS:
                box.popitem(last=False)
            while len(self._spans) > _MAX_WORKSPACES:
                self._spans.popitem(last=False)

    def traces(self, workspace_uid: str) -> list[Trace]:
        """Return the traces, newest first."""
        with self._lock:
            received = list(self._spans.get(workspace_uid, {}).values())
        grouped: dict[str, list[Received]] = {}
        for found in received:
            grouped.setdefault(found.span.trace_id, []).append(found)
        traces = [Trace(id=id_, spans=tuple(spans)) for id_, spans in grouped.items()]
        return sorted(traces, key=lambda trace: trace.arrived_us, reverse=True)

    def clear(self, workspace_uid: str) -> None:
        """Forget a workspace's spans."""
        with self._lock:
            self._spans.pop(workspace_uid, None)


inbox: Final = Inbox()


@blueprint.post("/receiver/<uuid:workspace_uid>/v1/traces")
def receive(workspace_uid: Any) -> Response:
    """Take an export request, JSON or protobuf, compressed or not, as OTLP says."""
    services = security.services()
    if not services.config.demo:
        raise NotFound("There is no receiver here.")
    expected = f"Bearer {receiver_token(services.config, str(workspace_uid))}"
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        return Response('{"code":16,"message":"The bearer token is wrong."}', 401, content_type=JSON)
    request.max_content_length = _MAX_BODY
    try:
        received = read(request.get_data(), request.headers, services.clock())
    except (ValueError, ReceiptError) as error:
        words = json.dumps({"code": 3, "message": f"This is not an OTLP request. {error}"})
        return Response(words, 400, content_type=JSON)
    inbox.add(str(workspace_uid), received)
    is_json = not _is_protobuf(request.headers)
    answer = otlp_answer.success(rejected=0, message="", is_json=is_json)
    return Response(answer, 200, content_type=JSON if is_json else PROTOBUF)


def read(body: bytes, headers: Any, now_us: int) -> list[Received]:
    """Return the spans of an export request; raise for what is none, and for one that has a bad span."""
    if headers.get("Content-Encoding", "").lower() == "gzip":
        body = gunzip_bounded(body, _MAX_BODY)
    is_protobuf = _is_protobuf(headers)
    export = otlp_reader.read(body, is_json=not is_protobuf)
    if export.unreadable:
        raise ReceiptError(f"{export.unreadable[0]}.")
    encoding = "protobuf" if is_protobuf else "JSON"
    return [
        Received(span=found.span, resource=found.resource, arrived_us=now_us, encoding=encoding)
        for found in export.spans
    ]


def _is_protobuf(headers: Any) -> bool:
    return "protobuf" in headers.get("Content-Type", "")


def type_word(value: Value) -> str:
    """Return OTLP's word for the type of an attribute."""
    if isinstance(value, list | tuple):
        return f"{type_word(value[0])}[]" if value else "array"
    if isinstance(value, bool):
        return "bool"
    return {str: "string", int: "int", float: "double", dict: "kvlist"}.get(type(value), "bytes")
