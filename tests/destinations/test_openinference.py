"""What both readers of OpenInference get of a conversation."""

from typing import Any

import pytest

from broadcast import genai_names
from broadcast.messages import input_messages, output_messages
from broadcast.receipt import Receipt
from destinations import _openinference


def content(asked: Any, answered: Any = ()) -> dict[str, Any]:
    return dict(_openinference.content(input_messages(asked), output_messages(answered, "stop")))


def test_tool_calls_and_their_results_keep_their_ids() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    made = content(
        [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": {"sum": 1}},
        ]
    )
    start = "llm.input_messages.0.message.tool_calls.0.tool_call"
    assert made[f"{start}.id"] == "c1"
    assert made[f"{start}.function.name"] == "add"
    assert made[f"{start}.function.arguments"] == '{"a":1}'
    assert made["llm.input_messages.1.message.tool_call_id"] == "c1"
    assert made["llm.input_messages.1.message.content"] == '{"sum":1}'


def test_an_answer_says_why_it_ended() -> None:
    made = content([], [{"role": "assistant", "content": "hi"}])
    assert made["llm.output_messages.0.message.finish_reason"] == "stop"


def test_of_a_long_conversation_the_end_is_kept() -> None:
    made = content([{"role": "user", "content": str(number)} for number in range(5000)])
    last = max(int(name.split(".")[2]) for name in made if name.startswith("llm.input_messages."))
    assert made[f"llm.input_messages.{last}.message.content"] == "4999"
    assert len(made) < 1010


def test_every_name_of_content_is_known_to_be_content() -> None:
    made = content([{"role": "user", "content": "a"}], [{"role": "assistant", "content": "b"}])
    texts = {name for name, value in made.items() if value in {"a", "b"}}
    assert len(texts) == 4
    assert all(genai_names.is_content(name) for name in texts)


@pytest.mark.parametrize(
    ("slug", "provider"), [("amazon-bedrock/global", "aws"), ("mistral", "mistralai"), ("groq", "groq")]
)
def test_providers_have_the_names_of_openinference(slug: str, provider: str) -> None:
    receipt = Receipt(
        id="x", created_at_us=0, duration_us=0, model="m", status="succeeded", provider_slug=slug
    )
    assert _openinference.attributes(receipt)["llm.provider"] == provider


def test_vectors_are_another_kind() -> None:
    receipt = Receipt(
        id="x", created_at_us=0, duration_us=0, model="m", status="succeeded", api_type="embeddings"
    )
    assert _openinference.attributes(receipt) == {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "m",
    }
