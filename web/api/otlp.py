"""POST /api/v1/otlp/v1/traces: OTLP exports, JSON and protobuf, answered as the OTLP specification says.

Every answer has the encoding of its request. A refusal is a google.rpc.Status; as JSON it holds the API's
own error object beside it, which OTLP passes over. Only 429 and 503 ask a sender to come again.
"""

import logging
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from broadcast.errors import BroadcastError, ReceiptError
from broadcast.runtime import Services
from broadcast.sources import otlp_answer
from broadcast.sources.otlp_answer import JSON, PROTOBUF
from broadcast.span_ingest import Outcome, accept_export
from web.api.access import check_scope, key_of
from web.api.receipts import sent_body
from web.responses import ApiError, explain

PATH: Final = "/api/v1/otlp/v1/traces"
_TEST_HEADER: Final = "X-Test-Connection"
_log: Final = logging.getLogger(__name__)


def blueprint(services: Services) -> Blueprint:
    """Return the route."""
    made = Blueprint("otlp", __name__)

    @made.post(PATH)
    def export() -> Response:
        is_json = request.mimetype != PROTOBUF
        try:
            outcome = _take(services, is_json=is_json)
        except (BroadcastError, ApiError) as error:
            return _refuse(error, is_json=is_json)
        except Exception:  # noqa: BLE001 - the sender is asked to come again, the log has the cause
            _log.exception("action=export_failed")
            sorry = ApiError(503, "Nothing was stored. Send it again.", reason="internal", retry_after_s=5)
            return _refuse(sorry, is_json=is_json)
        body = otlp_answer.success(rejected=outcome.rejected, message=outcome.message, is_json=is_json)
        return _answer(body, 200, is_json=is_json)

    return made


def _take(services: Services, *, is_json: bool) -> Outcome:
    key = key_of(services, request.headers.get("Authorization", ""))
    check_scope(key, "receipts:write")
    if request.headers.get(_TEST_HEADER, "").strip().lower() == "true":
        # OpenRouter's webhook asks whether anybody is here; what it holds is nobody's request.
        return Outcome(rejected=0, message="")
    if request.mimetype not in {JSON, PROTOBUF}:
        raise ApiError(415, f"Send Content-Type: {JSON} or {PROTOBUF}.", reason="unknown_content_type")
    body = sent_body(
        request.input_stream,
        length=request.headers.get("Content-Length", ""),
        encoding=request.headers.get("Content-Encoding", ""),
        limit=services.config.max_body_bytes,
    )
    try:
        return accept_export(
            services.ingest,
            key,
            body,
            is_json=is_json,
            now_us=services.clock(),
            retention_us=services.config.retention_us,
        )
    except ReceiptError as error:
        raise ApiError(400, error.message, reason="not_otlp") from None


def _refuse(error: Exception, *, is_json: bool) -> Response:
    status, body, headers = explain(error)
    message = body["error"]["message"]
    code = otlp_answer.rpc_code(status)
    if is_json:
        data = msgspec.json.encode({"code": code, "message": message, **body})
    else:
        data = otlp_answer.status_protobuf(code, message)
    answer = _answer(data, status, is_json=is_json)
    answer.headers.update(headers)
    return answer


def _answer(body: bytes, status: int, *, is_json: bool) -> Response:
    answer = Response(body, status, content_type=JSON if is_json else PROTOBUF)
    answer.headers["Cache-Control"] = "no-store"
    return answer
