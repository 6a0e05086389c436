"""Tokens as Langfuse counts them.

https://github.com/langfuse/langfuse, `OtelIngestionProcessor.ts`, read 2026-11-20.
"""

from broadcast.receipt import Usage


def kinds(usage: Usage) -> dict[str, int]:
    """Return each kind apart: Langfuse adds them up, so cached is no input there, and reasoning no output."""
    parts = {
        "input_cached_tokens": usage.cache_read_tokens,
        "input_cache_creation": usage.cache_write_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
    known = {name: count for name, count in parts.items() if count}
    cached = sum(count for name, count in known.items() if name.startswith("input"))
    if usage.input_tokens is not None:
        known["input"] = max(0, usage.input_tokens - cached)
    if usage.output_tokens is not None:
        known["output"] = max(0, usage.output_tokens - known.get("output_reasoning_tokens", 0))
    total = usage.total_tokens
    return known if total is None else {**known, "total": total}
