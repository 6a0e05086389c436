"""Token counts of every API as a receipt has them: input includes cached, output includes reasoning."""

from typing import Any, Final

from broadcast.receipt import Usage

_MOST: Final = 2**53


def count(value: Any) -> int | None:
    """Return a value when it is a count a receipt can hold."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value <= _MOST else None


def openai_usage(raw: Any) -> Usage | None:
    """Return the counts of chat, responses or embeddings; None when none is told."""
    if not isinstance(raw, dict):
        return None
    sent = _details(raw, "prompt_tokens_details", "input_tokens_details")
    made = _details(raw, "completion_tokens_details", "output_tokens_details")
    total, reasoning = _first(raw, "total_tokens"), _first(made, "reasoning_tokens")
    asked, answered = _first(raw, "prompt_tokens", "input_tokens"), _first(raw, *_ANSWERED)
    if asked is not None and answered is not None and reasoning and total == asked + answered + reasoning:
        answered += reasoning  # some providers count reasoning beside the answer
    return _told(
        Usage(
            input_tokens=asked,
            output_tokens=answered,
            total_tokens=total,
            cache_read_tokens=_either(_first(sent, "cached_tokens"), _first(raw, *_CACHE_READ)),
            cache_write_tokens=_either(_first(sent, "cache_write_tokens"), _first(raw, _CACHE_WRITTEN)),
            reasoning_tokens=reasoning,
            audio_tokens=_both(sent, made, "audio_tokens"),
            image_tokens=_both(sent, made, "image_tokens"),
        )
    )


def anthropic_usage(raw: Any) -> Usage | None:
    """Return the counts of messages, whose input leaves out what the cache had or took; None for none."""
    if not isinstance(raw, dict):
        return None
    fresh, answered = _first(raw, "input_tokens"), _first(raw, "output_tokens")
    read, written = _first(raw, "cache_read_input_tokens"), _first(raw, _CACHE_WRITTEN)
    asked = None if fresh is None else count(fresh + (read or 0) + (written or 0))
    return _told(
        Usage(
            input_tokens=asked,
            output_tokens=answered,
            total_tokens=None if asked is None or answered is None else count(asked + answered),
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=_first(_details(raw, "output_tokens_details"), "thinking_tokens"),
        )
    )


_ANSWERED: Final = ("completion_tokens", "output_tokens")
_CACHE_READ: Final = ("cache_read_input_tokens", "prompt_cache_hit_tokens")
_CACHE_WRITTEN: Final = "cache_creation_input_tokens"


def _told(usage: Usage) -> Usage | None:
    return usage if usage != Usage() else None


def _details(raw: dict[str, Any], *names: str) -> dict[str, Any]:
    return next((found for name in names if isinstance(found := raw.get(name), dict)), {})


def _first(raw: dict[str, Any], *names: str) -> int | None:
    return next((found for name in names if (found := count(raw.get(name))) is not None), None)


def _either(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _both(sent: dict[str, Any], made: dict[str, Any], name: str) -> int | None:
    told = [found for part in (sent, made) if (found := _first(part, name)) is not None]
    return count(sum(told)) if told else None
