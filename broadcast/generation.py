"""A receipt as OpenRouter's `GET /generation` shows it, and as `GET /requests` does."""

from typing import Any, Final

from broadcast import receipt_parser
from broadcast.errors import NotFound
from broadcast.receipt import Receipt
from broadcast.store import Store, activity, receipts
from broadcast.store.activity import Only
from broadcast.store.receipts import ReceiptRow
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339

_NANO: Final = 1_000_000_000
_REGIONS: Final = ("global", "europe", "us")
_NEVER_KNOWN: Final = dict.fromkeys(
    (
        "app_id", "cache_discount", "moderation_latency", "num_fetches",
        "num_input_audio_prompt", "num_media_completion", "num_media_prompt", "num_search_results",
        "preset_id", "response_cache_source_id", "service_tier", "web_search_engine",
    )
)  # fmt: skip


def find(store: Store, workspace: Workspace, receipt_id: str) -> tuple[ReceiptRow, Receipt]:
    """Return a receipt of the workspace as stored and as read."""
    with store.read() as conn:
        row = receipts.by_id(conn, workspace.id, receipt_id)
    if row is None:
        raise NotFound("There is no such request in this workspace, or it is older than what is kept.")
    return row, receipt_parser.from_document(row.document)


def upstream_id(store: Store, workspace_id: int, receipt_id: str) -> str | None:
    """Return what the provider called the answer that a receipt of the workspace is about."""
    with store.read() as conn:
        row = receipts.by_id(conn, workspace_id, receipt_id)
    attempts = receipt_parser.from_document(row.document).attempts if row else ()
    return attempts[-1].id if attempts else None


def view(receipt: Receipt, workspace: Workspace) -> dict[str, Any]:
    """Return OpenRouter's generation record: every field it has, neutral where a receipt does not say."""
    usage, cost, app, last = receipt.usage, receipt.cost, receipt.app, receipt.attempts[-1:]
    total = cost.total_nano_usd if cost else None
    prompt = usage.input_tokens if usage else None
    completion = usage.output_tokens if usage else None
    return {
        **_NEVER_KNOWN,
        "id": receipt.id,
        "upstream_id": last[0].id if last else None,
        "request_id": receipt.request_id,
        "api_type": "embeddings" if receipt.api_type == "embeddings" else "completions",
        "cancelled": receipt.status == "cancelled",
        "created_at": rfc3339(receipt.created_at_us),
        "data_region": receipt.region if receipt.region in _REGIONS else "global",
        "external_user": receipt.user,
        "finish_reason": receipt.finish_reason,
        "generation_time": receipt.duration_us / 1000,
        "http_referer": app.referer if app else None,
        "is_byok": receipt.funding_source == "byok",
        "latency": receipt.timing.first_token_ms if receipt.timing else None,
        "model": receipt.model,
        "native_finish_reason": receipt.native_finish_reason,
        "native_tokens_cached": usage.cache_read_tokens if usage else None,
        "native_tokens_completion": completion,
        "native_tokens_completion_images": usage.image_tokens if usage else None,
        "native_tokens_prompt": prompt,
        "native_tokens_reasoning": usage.reasoning_tokens if usage else None,
        "origin": receipt.origin or "",
        "provider_name": receipt.provider,
        "provider_responses": [_provider_response(receipt, index) for index in range(len(receipt.attempts))],
        "router": receipt.routing.profile if receipt.routing else None,
        "session_id": receipt.session_id,
        "streamed": receipt.streamed,
        "tokens_completion": completion,
        "tokens_prompt": prompt,
        # The SDK's type allows no null here.
        "total_cost": (total or 0) / _NANO,
        "usage": (total or 0) / _NANO,
        "cost_known": total is not None,
        "upstream_inference_cost": _usd(cost.upstream_nano_usd if cost else None),
        "user_agent": receipt.user_agent,
        "workspace_id": workspace.uid,
    }


def _provider_response(receipt: Receipt, index: int) -> dict[str, Any]:
    attempt = receipt.attempts[index]
    return {
        "id": attempt.id or "",
        "endpoint_id": "",
        "is_byok": bool(attempt.is_byok),
        "latency": attempt.duration_ms,
        "model_permaslug": attempt.model or receipt.model,
        "provider_name": attempt.provider,
        "status": attempt.status_code,
    }


def request_page(
    store: Store,
    workspace: Workspace,
    *,
    before: tuple[int, int] | None,
    limit: int,
    only: Only = activity.EVERY,
) -> tuple[list[dict[str, Any]], tuple[int, int] | None]:
    """Return requests, newest first, and where the next page begins, None at the end."""
    with store.read() as conn:
        found = activity.page(conn, workspace.id, before=before, limit=limit + 1, only=only)
        documents = {
            row.seq: receipt_parser.from_document(row.document)
            for row in receipts.by_seqs(conn, workspace.id, [row.seq for row in found[:limit]])
        }
    shown = [row for row in found[:limit] if row.seq in documents]
    following = (found[limit - 1].created_at_us, found[limit - 1].seq) if len(found) > limit else None
    return [request_view(row.id, documents[row.seq]) for row in shown], following


def row_view(row: ReceiptRow) -> dict[str, Any]:
    """Return one row of the request list from a receipt as stored."""
    return request_view(row.id, receipt_parser.from_document(row.document))


def request_view(receipt_id: str, receipt: Receipt) -> dict[str, Any]:
    """Return one row of the request list."""
    usage, cost = receipt.usage, receipt.cost
    total = cost.total_nano_usd if cost else None
    return {
        "id": receipt_id,
        "request_id": receipt.request_id or receipt_id,
        "status": receipt.status,
        "model_id": receipt.model,
        "provider_id": receipt.provider_slug or receipt.provider,
        "prompt_tokens": usage.input_tokens if usage else None,
        "completion_tokens": usage.output_tokens if usage else None,
        "cached_tokens": usage.cache_read_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
        "final_charge_micro_usd": None if total is None else (total + 500) // 1000,
        "funding_source": receipt.funding_source,
        "streamed": receipt.streamed,
        "created_at": rfc3339(receipt.created_at_us),
        "completed_at": rfc3339(receipt.created_at_us + receipt.duration_us),
        "latency_ms": receipt.duration_us / 1000,
        "first_token_ms": receipt.timing.first_token_ms if receipt.timing else None,
        "attempts": len(receipt.attempts),
        "routing_profile": receipt.routing.profile if receipt.routing else None,
        "capabilities": list(receipt.capabilities),
        "api_key_name": receipt.api_key.name if receipt.api_key else None,
        "session_id": receipt.session_id,
        "user": receipt.user,
        "error": None if receipt.error is None else {"type": receipt.error.type, "code": receipt.error.code},
    }


def _usd(nano_usd: int | None) -> float | None:
    return None if nano_usd is None else nano_usd / _NANO
