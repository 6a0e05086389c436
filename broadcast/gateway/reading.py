"""What a receipt wants to know of an answer, read whole or chunk by chunk."""

from typing import Any, Final

from broadcast.receipt import Error, Usage

_MOST: Final = 2**53
_JOINED: Final = ("content", "reasoning", "reasoning_content", "refusal")


class Reading:
    """The answer as understood so far; nothing in it can make an answer fail."""

    def __init__(self) -> None:
        self.upstream_id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        self.raw_usage: Any = None
        self.error: Error | None = None
        self._messages: dict[int, dict[str, Any]] = {}

    @property
    def usage(self) -> Usage | None:
        """The token counts, when told."""
        return usage_of(self.raw_usage)

    @property
    def messages(self) -> list[dict[str, Any]] | None:
        """The answer's messages in order of their choices."""
        return [_finished(self._messages[index]) for index in sorted(self._messages)] or None

    def whole(self, document: Any) -> None:
        """Take in an answer that came in one piece."""
        for index, choice in self._choices(document):
            message = choice.get("message")
            self._messages[index] = {"role": "assistant", **(message if isinstance(message, dict) else {})}

    def chunk(self, document: Any) -> bool:
        """Take in one chunk of a stream and return whether it brought something generated."""
        brought = False
        for index, choice in self._choices(document):
            delta = choice.get("delta")
            message = self._messages.setdefault(index, {"role": "assistant", "content": None})
            if isinstance(delta, dict):
                brought = _join(message, delta) or brought
        return brought

    def _choices(self, document: Any) -> list[tuple[int, dict[str, Any]]]:
        if not isinstance(document, dict):
            return []
        self.upstream_id = _text(document.get("id")) or self.upstream_id
        self.model = _text(document.get("model")) or self.model
        self.raw_usage = document.get("usage") or self.raw_usage
        if document.get("error"):
            self.error = error_of(document, "The provider reported an error.")
        choices = document.get("choices")
        found = []
        for position, choice in enumerate(choices if isinstance(choices, list) else []):
            if isinstance(choice, dict):
                self.finish_reason = self.finish_reason or _text(choice.get("finish_reason"))
                native = _text(choice.get("native_finish_reason"))
                self.native_finish_reason = self.native_finish_reason or native
                found.append((count(choice.get("index")) or position, choice))
        return found


def error_of(document: Any, otherwise: str) -> Error:
    """Return the `error` of an answer in the receipt's words."""
    told = document.get("error") if isinstance(document, dict) else None
    if isinstance(told, str) and told:
        return Error(type="provider_error", message=told[:2000])
    if not isinstance(told, dict):
        return Error(type="provider_error", message=otherwise)
    code = told.get("code")
    return Error(
        type=(_text(told.get("type")) or "provider_error")[:256],
        message=(_text(told.get("message")) or otherwise)[:2000],
        code=code if isinstance(code, str | int) and not isinstance(code, bool) else None,
    )


def usage_of(raw: Any) -> Usage | None:
    """Return an OpenAI `usage` object as token counts; None when it tells no count."""
    if not isinstance(raw, dict):
        return None
    sent, made = _object(raw.get("prompt_tokens_details")), _object(raw.get("completion_tokens_details"))
    audio = [value for part in (sent, made) if (value := count(part.get("audio_tokens"))) is not None]
    usage = Usage(
        input_tokens=count(raw.get("prompt_tokens")),
        output_tokens=count(raw.get("completion_tokens")),
        total_tokens=count(raw.get("total_tokens")),
        cache_read_tokens=count(sent.get("cached_tokens")),
        cache_write_tokens=count(sent.get("cache_write_tokens")),
        reasoning_tokens=count(made.get("reasoning_tokens")),
        audio_tokens=sum(audio) if audio else None,
        image_tokens=count(made.get("image_tokens")),
    )
    return usage if usage != Usage() else None


def count(value: Any) -> int | None:
    """Return a value when it is a count a receipt can hold."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value <= _MOST else None


def _join(message: dict[str, Any], delta: dict[str, Any]) -> bool:
    """Add a delta to its message; texts are gathered as lists, because a stream has many."""
    brought = False
    for name in _JOINED:
        piece = delta.get(name)
        if isinstance(piece, str) and piece:
            brought = True
            gathered = message.get(name)
            if isinstance(gathered, list):
                gathered.append(piece)
            else:
                message[name] = [piece]
    calls = delta.get("tool_calls")
    for position, call in enumerate(calls if isinstance(calls, list) else []):
        if isinstance(call, dict):
            brought = True
            index = count(call.get("index"))
            _join_call(message.setdefault("_calls", {}), position if index is None else index, call)
    return brought


def _join_call(calls: dict[int, dict[str, Any]], index: int, call: dict[str, Any]) -> None:
    known = calls.setdefault(index, {"type": "function", "function": {"name": "", "arguments": ""}})
    if _text(call.get("id")):
        known["id"] = call["id"]
    function = _object(call.get("function"))
    for name in ("name", "arguments"):
        if isinstance(function.get(name), str):
            known["function"][name] += function[name]


def _finished(message: dict[str, Any]) -> dict[str, Any]:
    whole = {name: value for name, value in message.items() if name != "_calls"}
    for name in _JOINED:
        if isinstance(whole.get(name), list) and all(isinstance(piece, str) for piece in whole[name]):
            whole[name] = "".join(whole[name])
    if calls := message.get("_calls"):
        whole["tool_calls"] = [calls[index] for index in sorted(calls)]
    return whole


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
