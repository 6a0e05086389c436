"""The named schemas of the API: what is made of many fields, or used by several operations."""

from typing import Final

import msgspec

from broadcast.destination import Verdict
from broadcast.otel_variables import PROTOCOLS
from broadcast.privacy import LEVELS
from broadcast.receipt_parser import Posted
from broadcast.sampling import SAMPLERS
from broadcast.status import OWN_API
from broadcast.store.replays import COUNTERS
from web.api.description import accounts
from web.api.description.words import (
    ANY,
    COUNT,
    FLAG,
    INSTANT,
    NUMBER,
    OBJECT,
    TEXT,
    UUID,
    WHOLE,
    Schema,
    maybe,
    ref,
    rows,
    whole,
    word,
)

VERDICTS: Final = tuple(Verdict)
_FATES: Final = (
    "delivered", "sampled_out", "filtered", "rejected", "expired", "waiting", "held", "not_sent",
)  # fmt: skip
_STATES: Final = ("delivering", "catching_up", "throttled", "retrying", "paused", "off")
_FACT: Final = word("yes", "no", "not_tried")
_LEVELS: Final = word(*LEVELS)

# `type` is what Anthropic's SDK looks for, in the answers of /messages alone.
_ERROR: Final = whole(
    {
        "error": whole(
            {"code": WHOLE, "message": TEXT},
            optional={"metadata": OBJECT | {"properties": {"reason": TEXT, "field": TEXT}}, "type": TEXT},
        )
    },
    optional={"type": TEXT},
)

_RULE: Final = OBJECT | {
    "properties": {"field": TEXT, "operator": TEXT, "value": ANY, "key": TEXT},
    "required": ["field", "operator"],
}
_FILTERS: Final = OBJECT | {
    "properties": {"groups": rows(OBJECT | {"properties": {"logic": TEXT, "rules": rows(_RULE)}})}
}

_SETTABLE: Final[dict[str, Schema]] = {
    "name": TEXT,
    "enabled": FLAG,
    "config": ref("DestinationConfig"),
    "sampling_rate": NUMBER | {"minimum": 0, "maximum": 1},
    "privacy_mode": FLAG,
    "privacy_level": _LEVELS,
    "api_key_hashes": maybe(rows(TEXT)),
    "excluded_api_key_hashes": maybe(rows(TEXT)),
    "filter_rules": maybe(ref("FilterRules")),
    "sampler": maybe(word(*SAMPLERS)),
    "resource_attributes": maybe(OBJECT),
    "redaction_patterns": maybe(rows(TEXT)),
    "broadcast_generation_cost": FLAG,
    "broadcast_generation_identity": FLAG,
    "broadcast_generation_request_context": FLAG,
}

_METRICS: Final = maybe(
    whole(
        {
            **dict.fromkeys(("every_s", "counted_to", "series", "series_limit", "other_requests"), COUNT),
            "since": INSTANT,
            "next_at": INSTANT,
            "last_sent_at": maybe(INSTANT),
            "last_error": maybe(whole({"at": INSTANT, "status_code": maybe(WHOLE), "reason": TEXT})),
        }
    )
)

_DESTINATION: Final = whole(
    {
        **_SETTABLE,
        "id": UUID,
        "type": TEXT,
        "workspace_id": UUID,
        "origin": TEXT,
        "paused_by": maybe(word("person", "answer")),
        "pause_reason": maybe(TEXT),
        "created_at": INSTANT,
        "updated_at": INSTANT,
        "state": word(*_STATES),
        "state_since": maybe(INSTANT),
        "next_try_at": maybe(INSTANT),
        "backlog": COUNT,
        "behind_s": NUMBER,
        "last_reason": maybe(TEXT),
        "held_until": maybe(INSTANT),
        "metrics": _METRICS,
    }
)

_APPLIED: Final = whole(
    {
        "applied": FLAG,
        "changes": rows(
            whole(
                {
                    "action": word("add", "change", "remove"),
                    "name": TEXT,
                    "type": TEXT,
                    "id": maybe(UUID),
                    "tested": FLAG,
                    "fields": rows(whole({"field": TEXT, "before": ANY, "after": ANY})),
                }
            )
        ),
        "switch": maybe(FLAG),
        "unchanged": COUNT,
        "left": rows(TEXT),
    }
)

_STATUS: Final = whole(
    {
        "workspace": TEXT,
        "id": UUID,
        "name": TEXT,
        "type": TEXT,
        "endpoint": TEXT,
        "protocol": maybe(word(*PROTOCOLS, OWN_API)),
        "header_count": COUNT,
        "service_name": TEXT,
        "resource_attribute_count": COUNT,
        "state": word(*_STATES),
        "paused_by": maybe(word("person", "answer")),
        "cursor": COUNT,
        "backlog": COUNT,
        "lag_s": NUMBER,
        "last_reason": maybe(TEXT),
        "last_error": maybe(
            whole(
                {
                    "at": INSTANT,
                    "verdict": word(*VERDICTS),
                    "status_code": maybe(WHOLE),
                    "reason": TEXT,
                }
            )
        ),
        "next_try_at": maybe(INSTANT),
        "held_until": maybe(INSTANT),
        "sampler": word("always_on", "ratio", *SAMPLERS[1:]),
        "sampling_rate": NUMBER,
        "in_flight": FLAG,
        **dict.fromkeys(("delivered", "sampled_out", "filtered", "rejected", "expired"), COUNT),
        "replay": maybe(whole({"id": UUID, "source": TEXT, "position": COUNT, "total": COUNT})),
        "metrics": _METRICS,
    }
)

_REPORT: Final = whole(
    {
        "ok": FLAG,
        "stage": maybe(word("fields", "address", "dns", "connect", "tls", "credential", "data")),
        "reachable": _FACT,
        "credential_accepted": _FACT,
        "data_accepted": _FACT,
        "status_code": maybe(WHOLE),
        "latency_ms": maybe(NUMBER),
        "message": TEXT,
        "hint": maybe(TEXT),
    }
)

_PREVIEW: Final = whole(
    {
        "receipt_id": TEXT,
        "would_send": FLAG,
        "fate": maybe(word(*_FATES)),
        "reason": maybe(TEXT),
        "withheld": rows(TEXT),
        "request": maybe(
            whole(
                {
                    "method": TEXT,
                    "url": TEXT,
                    "headers": OBJECT,
                    "compression": maybe(word("gzip")),
                    "bytes": COUNT,
                    "body": maybe(TEXT),
                    "body_hex": maybe(TEXT),
                }
            )
        ),
    }
)

_LEDGER: Final = whole(
    {
        **dict.fromkeys(
            ("appended", "delivered", "sampled_out", "filtered", "rejected", "expired", "pending"), COUNT
        ),
        "balanced": FLAG,
        "since": maybe(INSTANT),
        "since_seq": COUNT,
        "head_seq": COUNT,
        "cursor": COUNT,
        "held_until": maybe(INSTANT),
    }
)

_ATTEMPT: Final = whole(
    {
        "id": UUID,
        "at": INSTANT,
        "from_seq": COUNT,
        "to_seq": COUNT,
        "count": COUNT,
        "delivered": COUNT,
        "rejected": COUNT,
        "skipped": COUNT,
        "verdict": word(*VERDICTS),
        "status_code": maybe(WHOLE),
        "reason": maybe(TEXT),
        "duration_ms": maybe(NUMBER),
        "bytes": maybe(COUNT),
        "replay_id": maybe(UUID),
    }
)

_DEAD_LETTER: Final = whole(
    {
        "receipt_id": TEXT,
        "seq": COUNT,
        "at": INSTANT,
        "status_code": maybe(WHOLE),
        "reason": maybe(TEXT),
        "attempt_id": maybe(UUID),
        "replayable": FLAG,
    }
)

_DELIVERY: Final = whole(
    {
        "destination_id": UUID,
        "name": TEXT,
        "type": TEXT,
        "fate": word(*_FATES),
        "at": maybe(INSTANT),
        "attempt_id": maybe(UUID),
        "reason": maybe(TEXT),
        "trace_url": maybe(TEXT),
    }
)

_REFUSED: Final = whole({"index": COUNT, "field": maybe(TEXT), "message": TEXT}, optional={"id": TEXT})
_ACCEPTED: Final = whole(
    {
        "accepted": COUNT,
        "duplicates": COUNT,
        "rejected": rows(_REFUSED),
    }
)


def _posted() -> dict[str, Schema]:
    """Return the receipt's schemas, taken from the records that parse it."""
    _, found = msgspec.json.schema_components([Posted], ref_template="#/components/schemas/Receipt{name}")
    return {f"Receipt{name}": schema for name, schema in found.items()}


_REPLAY: Final = whole(
    {
        "id": UUID,
        "source": word("range", "list", "dead_letters", "backfill"),
        "state": TEXT,
        "include_delivered": FLAG,
        "from_seq": COUNT,
        "to_seq": COUNT,
        "total": COUNT,
        "settled": COUNT,
        **dict.fromkeys(COUNTERS, COUNT),
        "created_at": INSTANT,
        "ended_at": maybe(INSTANT),
    }
)

_REPLAY_PREVIEW: Final = whole(
    {
        "source": word("range", "list", "dead_letters", "backfill"),
        **dict.fromkeys(
            (
                *("receipts", "waiting", "gone", "already_delivered", "sampled_out", "filtered", "expired"),
                *("to_send", "bytes", "without_content"),
            ),
            COUNT,
        ),
        "estimated": FLAG,
        "from_seq": maybe(COUNT),
        "to_seq": maybe(COUNT),
        "from_at": maybe(INSTANT),
        "to_at": maybe(INSTANT),
        "kept_since": maybe(INSTANT),
        "include_delivered": FLAG,
    }
)

_REPLAY_DRAFT: Final = whole(
    {},
    optional={
        "from": INSTANT,
        "to": INSTANT,
        "receipt_ids": rows(TEXT),
        "dead_letters": FLAG,
        "include_delivered": FLAG,
        "dry_run": FLAG,
        "workspace_id": UUID,
    },
)

_TYPE: Final = whole(
    {
        "type": TEXT,
        "title": TEXT,
        "category": TEXT,
        "docs": TEXT,
        "setup": rows(TEXT),
        "sql": maybe(TEXT),
        "schema": OBJECT,
    }
)

SCHEMAS: Final[dict[str, Schema]] = {
    **_posted(),
    **accounts.SCHEMAS,
    "Error": _ERROR,
    "FilterRules": _FILTERS,
    "Destination": _DESTINATION,
    "DestinationStatus": _STATUS,
    "DestinationChange": whole({}, optional={**_SETTABLE, "workspace_id": UUID}),
    "DestinationDraft": whole(
        {"type": TEXT, "config": ref("DestinationConfig")},
        optional={**_SETTABLE, "workspace_id": UUID, "backfill_from": INSTANT},
    ),
    "DestinationSettings": whole(
        {"type": TEXT, "name": TEXT, "config": ref("DestinationConfig")}, optional=_SETTABLE
    ),
    "Applied": _APPLIED,
    "Report": _REPORT,
    "Ledger": _LEDGER,
    "Attempt": _ATTEMPT,
    "Preview": _PREVIEW,
    "DeadLetter": _DEAD_LETTER,
    "Delivery": _DELIVERY,
    "Accepted": _ACCEPTED,
    "Replay": _REPLAY,
    "ReplayPreview": _REPLAY_PREVIEW,
    "ReplayDraft": _REPLAY_DRAFT,
    "DestinationType": _TYPE,
}
