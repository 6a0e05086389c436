"""The demo's answers in the shape of each API: what was said last, repeated word by word."""

import re
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, cycle, islice
from typing import Any, Final

import msgspec

from broadcast.gateway.apis import Api
from broadcast.gateway.plain import plain
from broadcast.json_text import items, members

_CREATED_S: Final = 1_767_225_600
_DIMENSIONS: Final = 8
_MOST_DIMENSIONS: Final = 4096
_MOST_INPUTS: Final = 2048
_MOST_NUMBERS: Final = 2**18
"""In all vectors of one answer: a number of Python's takes several times its four bytes."""
_MOST_WORDS: Final = 20_000
_WORD: Final = re.compile(r"\S+")
_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")


class Unfit(ValueError):  # noqa: N818 - named by what is wrong with the request
    """A request that the demo does not answer: holds a sentence for the client."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer before it takes a shape: each word counts as one token."""

    digest: str
    request: dict[str, Any]
    words: tuple[str, ...]
    is_cut: bool
    sent: int

    @property
    def model(self) -> Any:
        """The model as it was asked for."""
        return self.request.get("model")

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.words)


def said(body: bytes) -> Said:
    """Return what the demo answers to a request of any API, within its limit of tokens."""
    request = members(plain(body))
    texts = _texts(request)
    last = next((text for text in reversed(texts) if text), "nothing")
    asked = [request.get(name) for name in _LIMITS]
    wished = next((limit for limit in asked if isinstance(limit, int) and limit > 0), _MOST_WORDS)
    most = min(wished, _MOST_WORDS)
    words = f"You said: {last}".split(" ", most)[:most]
    return Said(
        digest=sha256(body).hexdigest()[:20],
        request=request,
        words=tuple(word if place == 0 else f" {word}" for place, word in enumerate(words)),
        is_cut=len(words) == most,
        sent=sum(4 + _count(text) for text in texts),
    )


def whole(api: Api, answer: Said) -> bytes:
    """Return the answer in one piece; raise `Unfit`."""
    return msgspec.json.encode(_WHOLE[api](answer))


def events(api: Api, answer: Said, pieces: list[str]) -> Iterator[bytes]:
    """Return the answer as the events of a stream, its text in these pieces."""
    return _EVENTS[api](answer, pieces)


def wants_stream(api: Api, answer: Said) -> bool:
    """Whether the request asks for a stream, which embeddings never are."""
    return api in _EVENTS and answer.request.get("stream") is True


def _texts(request: dict[str, Any]) -> list[str]:
    """Return the text of each message, wherever the API has them."""
    asked = request.get("messages") or request.get("input")
    return [_text(message) for message in ([asked] if isinstance(asked, str) else items(asked))]


def _text(message: Any) -> str:
    content = members(message).get("content", message)
    if isinstance(content, str):
        return content
    return " ".join(str(part["text"]) for part in items(content) if isinstance(part, dict) and "text" in part)


def _count(text: str) -> int:
    """Count the words one by one: a list of them would take many times the memory of the text."""
    return sum(1 for _ in _WORD.finditer(text))


def _event(document: dict[str, Any], name: str | None = None) -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(document) + b"\n\n"


# -- chat --------------------------------------------------------------------------------------------


def _chat(answer: Said) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _chat_reason(answer)}
    return {**_chat_head(answer, "chat.completion"), "choices": [choice], "usage": _chat_usage(answer)}


def _chat_events(answer: Said, pieces: list[str]) -> Iterator[bytes]:
    head = _chat_head(answer, "chat.completion.chunk")
    deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    for delta, reason in chain(((delta, None) for delta in deltas), [({}, _chat_reason(answer))]):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield _event({**head, "choices": [choice]})
    if members(answer.request.get("stream_options")).get("include_usage") is True:
        yield _event({**head, "choices": [], "usage": _chat_usage(answer)})
    yield b"data: [DONE]\n\n"


def _chat_head(answer: Said, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-demo-{answer.digest}",
        "object": kind,
        "created": _CREATED_S,
        "model": answer.model,
        "system_fingerprint": "fp_demo",
    }


def _chat_reason(answer: Said) -> str:
    return "length" if answer.is_cut else "stop"


def _chat_usage(answer: Said) -> dict[str, int]:
    made = len(answer.words)
    return {"prompt_tokens": answer.sent, "completion_tokens": made, "total_tokens": answer.sent + made}


# -- messages ----------------------------------------------------------------------------------------


def _message(answer: Said) -> dict[str, Any]:
    return {
        "id": f"msg_demo_{answer.digest}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [{"type": "text", "text": answer.text}],
        **_stop(answer),
        "usage": _message_usage(answer, len(answer.words)),
    }


def _message_events(answer: Said, pieces: list[str]) -> Iterator[bytes]:
    begun: dict[str, Any] = {"content": [], "stop_reason": None, "usage": _message_usage(answer, 1)}
    yield _named("message_start", message={**_message(answer), **begun})
    yield _named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for piece in pieces:
        yield _named("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    yield _named("content_block_stop", index=0)
    yield _named("message_delta", delta=_stop(answer), usage={"output_tokens": len(answer.words)})
    yield _named("message_stop")


def _stop(answer: Said) -> dict[str, Any]:
    return {"stop_reason": "max_tokens" if answer.is_cut else "end_turn", "stop_sequence": None}


def _message_usage(answer: Said, made: int) -> dict[str, int]:
    cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": answer.sent, **cache, "output_tokens": made}


def _named(kind: str, **members_: Any) -> bytes:
    return _event({"type": kind, **members_}, kind)


# -- responses ---------------------------------------------------------------------------------------


def _response(answer: Said) -> dict[str, Any]:
    item = _item(answer, answer.text, "incomplete" if answer.is_cut else "completed")
    made = len(answer.words)
    return {
        **_response_head(answer),
        "status": item["status"],
        "completed_at": _CREATED_S,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.is_cut else None,
        "output": [item],
        "usage": {
            "input_tokens": answer.sent,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.sent + made,
        },
    }


def _response_head(answer: Said) -> dict[str, Any]:
    """Return a response that has just begun, with every field that the SDKs require."""
    asked = answer.request
    nothing = dict.fromkeys(("completed_at", "error", "incomplete_details", "usage"))
    repeated = ("instructions", "metadata", "temperature", "top_p", "presence_penalty", "frequency_penalty")
    return {
        "id": f"resp_demo_{answer.digest}",
        "object": "response",
        "created_at": _CREATED_S,
        "status": "in_progress",
        "model": answer.model,
        "output": [],
        **nothing,
        **{name: asked.get(name) for name in repeated},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _response_events(answer: Said, pieces: list[str]) -> Iterator[bytes]:
    finished = _response(answer)
    for number, (kind, told) in enumerate(_response_steps(answer, finished, pieces)):
        yield _named(kind, sequence_number=number, **told)


def _response_steps(
    answer: Said, finished: dict[str, Any], pieces: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = {"response": _response_head(answer)}
    (item,) = finished["output"]
    of_item = {"output_index": 0, "item_id": item["id"], "content_index": 0}
    (part,) = item["content"]
    yield "response.created", begun
    yield "response.in_progress", begun
    yield (
        "response.output_item.added",
        {
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
    )
    yield "response.content_part.added", {**of_item, "part": {**part, "text": ""}}
    for piece in pieces:
        yield "response.output_text.delta", {**of_item, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**of_item, "text": answer.text, "logprobs": []}
    yield "response.content_part.done", {**of_item, "part": part}
    yield "response.output_item.done", {"output_index": 0, "item": item}
    yield f"response.{finished['status']}", {"response": finished}


def _item(answer: Said, text: str, status: str) -> dict[str, Any]:
    return {
        "id": f"msg_demo_{answer.digest}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }


# -- embeddings --------------------------------------------------------------------------------------


def _embeddings(answer: Said) -> dict[str, Any]:
    asked = answer.request.get("input")
    one = isinstance(asked, str) or all(isinstance(token, int) for token in items(asked))
    inputs = [asked] if one else items(asked)
    size = _dimensions(answer.request, len(inputs))
    tokens = sum(_count(text) if isinstance(text, str) else len(items(text)) for text in inputs)
    return {
        "object": "list",
        "model": answer.model,
        "data": [
            {"object": "embedding", "index": place, "embedding": _vector(answer.request, text, size)}
            for place, text in enumerate(inputs)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _dimensions(request: dict[str, Any], inputs: int) -> int:
    wished = request.get("dimensions")
    size = _DIMENSIONS if wished is None else wished
    if not isinstance(size, int) or not 0 < size <= _MOST_DIMENSIONS:
        raise Unfit(f"`dimensions` must be a whole number from 1 to {_MOST_DIMENSIONS}.")
    if inputs > _MOST_INPUTS:
        raise Unfit(f"`input` has {inputs} texts: send at most {_MOST_INPUTS} at once.")
    if inputs * size > _MOST_NUMBERS:
        raise Unfit(
            f"{inputs} texts of {size} `dimensions` are more than {_MOST_NUMBERS} numbers: "
            "send fewer texts at once, or ask for fewer dimensions."
        )
    return size


def _vector(request: dict[str, Any], text: Any, size: int) -> list[float] | str:
    """Return numbers between -1 and 1 that are the same for the same text."""
    digest = sha256(msgspec.json.encode(text)).digest()
    numbers = array("f", (byte / 127.5 - 1 for byte in islice(cycle(digest), size)))
    if request.get("encoding_format") == "base64":
        return b64encode(numbers.tobytes()).decode()
    return numbers.tolist()


_WHOLE: Final[Mapping[Api, Callable[[Said], dict[str, Any]]]] = {
    "chat": _chat,
    "messages": _message,
    "responses": _response,
    "embeddings": _embeddings,
}
_EVENTS: Final[Mapping[Api, Callable[[Said, list[str]], Iterator[bytes]]]] = {
    "chat": _chat_events,
    "messages": _message_events,
    "responses": _response_events,
}
