"""Receipts to measure with: recorded arrivals, or a generated pattern of the same size."""

import csv
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

SIZE = 19_366
SEED = 20231116
WORDS = Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split()
MODELS = ("anthropic/claude-sonnet-4", "openai/gpt-5", "google/gemini-2.5-pro", "meta-llama/llama-4-maverick")


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One request: when it came after the first, and its tokens."""

    after_us: int
    input_tokens: int
    output_tokens: int


def recorded(path: Path) -> list[Arrival]:
    """Read a CSV of TIMESTAMP, ContextTokens, GeneratedTokens."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = [(_at(row["TIMESTAMP"]), row) for row in csv.DictReader(lines)]
    first = rows[0][0]
    return [
        Arrival(
            after_us=(at - first) // timedelta(microseconds=1),
            input_tokens=int(row["ContextTokens"]),
            output_tokens=int(row["GeneratedTokens"]),
        )
        for at, row in rows
    ]


def _at(text: str) -> datetime:
    # Seven decimals, of which the last is a tenth of a microsecond.
    return datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)


def generated(size: int = SIZE) -> list[Arrival]:
    """Return arrivals of one hour with long-tailed token counts; the same every time."""
    dice = random.Random(SEED)
    moments = sorted(dice.randrange(3_600_000_000) for _ in range(size))
    return [
        Arrival(
            after_us=at,
            input_tokens=min(int(dice.lognormvariate(6.6, 1.0)) + 1, 14_000),
            output_tokens=min(int(dice.lognormvariate(5.1, 0.8)) + 1, 1_000),
        )
        for at in moments
    ]


def receipts(arrivals: list[Arrival], *, ends_us: int, content_bytes: int = 0) -> list[bytes]:
    """Return each arrival as the JSON a router posts, the last one created at `ends_us`."""
    dice = random.Random(SEED)
    shift = ends_us - arrivals[-1].after_us
    return [_receipt(index, arrival, shift, dice, content_bytes) for index, arrival in enumerate(arrivals)]


def _receipt(index: int, arrival: Arrival, shift_us: int, dice: random.Random, content_bytes: int) -> bytes:
    duration_ms = round(180 + 11.5 * arrival.output_tokens, 3)
    price = arrival.input_tokens * 3e-6 + arrival.output_tokens * 15e-6
    document = {
        "id": f"gen-bench-{index:08d}",
        "created_at": _rfc3339(arrival.after_us + shift_us),
        "duration_ms": duration_ms,
        "model": MODELS[index % len(MODELS)],
        "provider": "Anthropic",
        "provider_slug": "anthropic",
        "system": "anthropic",
        "status": "succeeded",
        "streamed": index % 2 == 0,
        "finish_reason": "stop",
        "usage": {"input_tokens": arrival.input_tokens, "output_tokens": arrival.output_tokens},
        "cost": {"total_usd": f"{price:.9f}"},
        "timing": {"first_token_ms": round(dice.uniform(120, 900), 3)},
        "parameters": {"temperature": 0.7, "max_tokens": 1024},
        "user": f"user-{index % 500}",
        "session_id": f"session-{index % 2000}",
        "trace": {"environment": "production", "feature": "assistant", "customer_tier": "gold"},
    }
    if content_bytes:
        document["input"] = [{"role": "user", "content": prose(dice, content_bytes * 3 // 4)}]
        document["output"] = [{"role": "assistant", "content": prose(dice, content_bytes // 4)}]
    return json.dumps(document, separators=(",", ":")).encode()


def prose(dice: random.Random, size: int) -> str:
    """Return text of about `size` characters with the punctuation that JSON has to escape."""
    parts: list[str] = []
    length = 0
    while length < size:
        sentence = " ".join(dice.choices(WORDS, k=12)).capitalize() + dice.choice(
            [".\n", '."  ', ". ", "!\n\n"]
        )
        parts.append(sentence)
        length += len(sentence)
    return "".join(parts)


def _rfc3339(at_us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).isoformat()
