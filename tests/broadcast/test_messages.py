import json
from typing import Any

import pytest

from broadcast.messages import input_messages, output_messages
from broadcast.multimodal import described

PIXEL = "data:image/png;base64," + "A" * 4000


def user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "parts": list(parts)}]


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "content": words}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Hi", user(text("Hi"))),
        ([{"role": "user", "content": "Hi"}], user(text("Hi"))),
        ({"messages": [{"role": "user", "content": "Hi"}]}, user(text("Hi"))),
        ([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], user(text("Hi"))),
        ({"input": "Hi"}, user(text("Hi"))),
        ({"prompt": "Hi"}, user(text("Hi"))),
        (
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            user(text("Hi")),
        ),
        ([{"role": "developer", "content": "Be brief"}], [{"role": "system", "parts": [text("Be brief")]}]),
        (
            {"system": "Be brief", "messages": [{"role": "user", "content": "Hi", "name": "Ann"}]},
            [
                {"role": "system", "parts": [text("Be brief")]},
                {"role": "user", "parts": [text("Hi")], "name": "Ann"},
            ],
        ),
        (
            [{"role": "tool", "tool_call_id": "c1", "content": "sunny"}],
            [{"role": "tool", "parts": [{"type": "tool_call_response", "response": "sunny", "id": "c1"}]}],
        ),
        (
            [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]}],
            user({"type": "tool_call_response", "response": "sunny", "id": "t1"}),
        ),
        (
            [{"type": "function_call_output", "call_id": "c1", "output": "sunny"}],
            [{"role": "tool", "parts": [{"type": "tool_call_response", "response": "sunny", "id": "c1"}]}],
        ),
        (
            {"instructions": "Be brief", "input": [{"type": "function_call", "call_id": "c1", "name": "f"}]},
            [
                {"role": "system", "parts": [text("Be brief")]},
                {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "id": "c1"}]},
            ],
        ),
        ({"input": ["one", "two"]}, [*user(text("one")), *user(text("two"))]),
        ({"input": [101, 2023, 102]}, user(text("[3 tokens]"))),
        ({"input": [[101, 102], [7]]}, [*user(text("[2 tokens]")), *user(text("[1 tokens]"))]),
        (5, user(text("5"))),
    ],
)
def test_what_was_asked_through_any_api(asked: Any, expected: Any) -> None:
    assert input_messages(asked) == expected


CALL = {"type": "tool_call", "name": "weather", "id": "c1", "arguments": {"city": "Rome"}}


@pytest.mark.parametrize(
    ("answered", "parts", "reason"),
    [
        ("Hi", [text("Hi")], "stop"),
        (
            {"role": "assistant", "content": "Hi", "reasoning": "Hm"},
            [{"type": "reasoning", "content": "Hm"}, text("Hi")],
            "stop",
        ),
        ({"choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}]}, [text("Hi")], "length"),
        ({"choices": [{"text": "Hi", "finish_reason": None}]}, [text("Hi")], "stop"),
        (
            {
                "content": None,
                "finish_reason": "tool_calls",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                    }
                ],
            },
            [CALL],
            "tool_call",
        ),
        (
            {
                "role": "assistant",
                "stop_reason": "tool_use",
                "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Rome"}}],
            },
            [CALL],
            "tool_call",
        ),
        (
            {
                "output": [
                    {
                        "type": "function_call",
                        "call_id": "c1",
                        "name": "weather",
                        "arguments": '{"city":"Rome"}',
                    }
                ]
            },
            [CALL],
            "stop",
        ),
        (
            {"output": [{"type": "reasoning", "summary": [{"text": "Hm"}]}]},
            [{"type": "reasoning", "content": "Hm"}],
            "stop",
        ),
        (
            {
                "output": [
                    {
                        "type": "reasoning",
                        "summary": [],
                        "content": [{"type": "reasoning_text", "text": "Hm"}],
                    },
                    {"type": "web_search_call", "id": "w1", "action": {"query": "Rome"}},
                    {
                        "type": "message",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Hi"}],
                    },
                    {"type": "image_generation_call", "result": "AAAA" * 100},
                ]
            },
            [
                {"type": "reasoning", "content": "Hm"},
                {"type": "tool_call", "name": "web_search", "id": "w1", "arguments": {"query": "Rome"}},
                text("Hi"),
                text("[image: about 300 bytes]"),
            ],
            "stop",
        ),
        (
            {
                "stop_reason": "end_turn",
                "content": [
                    {"type": "redacted_thinking", "data": "secret"},
                    {"type": "server_tool_use", "id": "t1", "name": "web_search", "input": {"query": "Rome"}},
                    {"type": "web_search_tool_result", "tool_use_id": "t1", "content": [{"title": "Rome"}]},
                ],
            },
            [
                {"type": "reasoning", "content": "[redacted]"},
                {"type": "tool_call", "name": "web_search", "id": "t1", "arguments": {"query": "Rome"}},
                {"type": "tool_call_response", "response": [{"title": "Rome"}], "id": "t1"},
            ],
            "stop",
        ),
        (
            {"content": [{"type": "thinking", "thinking": "Hm"}]},
            [{"type": "reasoning", "content": "Hm"}],
            "stop",
        ),
    ],
)
def test_what_was_answered_through_any_api(answered: Any, parts: Any, reason: str) -> None:
    assert output_messages(answered, "stop") == [
        {"role": "assistant", "parts": parts, "finish_reason": reason}
    ]


@pytest.mark.parametrize(
    "arguments", ["not json", '{"a":', '{"a":18446744073709551616}', '{"a":' * 900 + "1" + "}" * 900]
)
def test_arguments_that_are_no_object_stay_text(arguments: str) -> None:
    (message,) = output_messages(
        {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}, "stop"
    )
    assert message["parts"][0]["arguments"] == arguments


@pytest.mark.parametrize(
    ("part", "description"),
    [
        ({"type": "image_url", "image_url": {"url": PIXEL}}, "[image: image/png, about 3000 bytes]"),
        (
            {"type": "image_url", "image_url": {"url": "https://cdn.example.com/x?sig=secret"}},
            "[image: cdn.example.com]",
        ),
        ({"type": "input_image", "image_url": PIXEL}, "[image: image/png, about 3000 bytes]"),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "A" * 400}},
            "[image: image/gif, about 300 bytes]",
        ),
        (
            {"type": "input_audio", "input_audio": {"format": "wav", "data": "A" * 400}},
            "[audio: wav, about 300 bytes]",
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            "[file: a.pdf, application/pdf, about 3 bytes]",
        ),
        ({"type": "video_url", "video_url": 5}, "[video]"),
        ({"type": "image_url", "image_url": {"url": "https://[bad"}}, "[image: ]"),
    ],
)
def test_a_multimodal_part_is_described_in_short(part: Any, description: str) -> None:
    for asked in (
        [{"role": "user", "content": [part]}],
        [{"role": "tool", "tool_call_id": "c", "content": [part]}],
    ):
        written = json.dumps(input_messages(asked))
        assert description in written
        assert "AAAA" not in written
        assert "secret" not in written


SPOKEN = {"id": "audio_1", "data": "A" * 400, "expires_at": 1, "transcript": "Hello"}
PICTURED = [{"type": "image_url", "image_url": {"url": PIXEL}}, {"image_url": {"url": PIXEL}}]


@pytest.mark.parametrize("said", [{"content": None}, {}])
def test_made_sound_is_described_and_what_was_said_in_it_is_text(said: dict[str, Any]) -> None:
    (message,) = output_messages(
        {"choices": [{"message": {"role": "assistant", **said, "audio": SPOKEN}}]}, "stop"
    )
    assert message["parts"] == [text("[audio: about 300 bytes]"), text("Hello")]


def test_made_images_are_described_beside_the_content() -> None:
    (message,) = output_messages({"role": "assistant", "content": "Here", "images": PICTURED}, "stop")
    image = text("[image: image/png, about 3000 bytes]")
    assert message["parts"] == [text("Here"), image, image]


@pytest.mark.parametrize("images", [None, "", [5]])
def test_what_is_no_image_adds_no_part(images: Any) -> None:
    (message,) = output_messages({"role": "assistant", "content": "Hi", "images": images}, "stop")
    assert message["parts"] == [text("Hi")]


def test_a_conversation_keeps_what_was_said_and_not_the_sound() -> None:
    told = described({"messages": [{"role": "assistant", "audio": SPOKEN}], "audio": {"voice": "alloy"}})
    assert told["messages"][0]["audio"] == {**SPOKEN, "data": "[audio: about 300 bytes]"}
    assert told["audio"] == {"voice": "alloy"}
