"""The Receiver: what a vendor would get, as it arrives."""

from typing import Final

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity
from broadcast.errors import NotFound
from web import security
from web.receiver import Trace, inbox, type_word
from web.waterfall import bars_of

blueprint: Final = Blueprint("receiver", __name__)


@blueprint.get("/w/<slug>/receiver")
@security.page()
def page() -> str:
    """Show the traces, newest first, one of them open."""
    traces = _traces()
    wanted = request.args.get("trace")
    opened = next((trace for trace in traces if trace.id == wanted), traces[0] if traces else None)
    spans = tuple(found.span for found in opened.spans) if opened else ()
    bars = bars_of(spans)
    chosen = request.args.get("span")
    shown = next((bar for bar in bars if bar.span.span_id == chosen), None)
    shown = shown or next((bar for bar in bars if bar.main), bars[0] if bars else None)
    viewer = security.viewer()
    request_id = activity.find(security.services().store, viewer.workspace, opened.id) if opened else None
    return render_template(
        "receiver.html",
        here="receiver",
        viewer=viewer,
        traces=traces,
        opened=opened,
        bars=bars,
        shown=shown,
        resource=opened.spans[0].resource if opened else {},
        request_id=request_id,
        type_word=type_word,
        newest=_newest(traces),
    )


@blueprint.get("/w/<slug>/receiver/newer")
@security.page()
def newer() -> ResponseReturnValue:
    """Say how many traces arrived after the one that a page showed first."""
    after = request.args.get("after", default=0, type=int)
    return jsonify(newer=sum(_last(trace) > after for trace in _traces()))


@blueprint.post("/w/<slug>/receiver/clear")
@security.page("member")
def clear() -> ResponseReturnValue:
    """Forget the spans."""
    viewer = security.viewer()
    inbox.clear(viewer.workspace.uid)
    return redirect(url_for(".page", slug=viewer.workspace.slug), 303)


def _traces() -> list[Trace]:
    if not security.services().config.demo:
        raise NotFound("This server has no receiver; it belongs to the demo.")
    return inbox.traces(security.viewer().workspace.uid)


def _newest(traces: list[Trace]) -> int:
    return max((_last(trace) for trace in traces), default=0)


def _last(trace: Trace) -> int:
    return max(found.arrived_us for found in trace.spans)
