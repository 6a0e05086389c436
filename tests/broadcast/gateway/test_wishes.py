from typing import Any

import msgspec
import pytest

from broadcast.gateway.plain import fields_of
from broadcast.gateway.wishes import capabilities_of, parameters_of

SCHEMA = {"type": "json_schema", "schema": {}}
PARTS = [{"type": "text", "text": "What is this?"}]


def parameters(**fields: Any) -> dict[str, Any] | None:
    return parameters_of(fields_of(msgspec.json.encode(fields)))


def capabilities(asked: Any = None, **fields: Any) -> tuple[str, ...]:
    return capabilities_of(fields_of(msgspec.json.encode(fields)), asked)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_the_limit_of_tokens_has_one_name(name: str) -> None:
    assert parameters(**{name: 10}) == {"max_tokens": 10}


@pytest.mark.parametrize("name", ["stop", "stop_sequences"])
def test_what_ends_an_answer_has_one_name(name: str) -> None:
    assert parameters(**{name: ["END"]}) == {"stop": ["END"]}


def test_parameters_are_kept_and_content_is_not() -> None:
    told = parameters(
        temperature=0.5,
        seed=7,
        top_p=None,
        messages=["secret"],
        tools=[{"name": "f"}],
        reasoning={"effort": "low"},
    )
    assert told == {"temperature": 0.5, "seed": 7, "reasoning": {"effort": "low"}, "tools_offered": 1}
    assert parameters(messages=[]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"text": {"format": SCHEMA}},
        {"output_config": {"format": SCHEMA}},
        {"output_format": SCHEMA},
    ],
)
def test_structured_outputs_of_every_api(fields: dict[str, Any]) -> None:
    assert capabilities(**fields) == ("structured_outputs",)


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "low"}},
        {"reasoning": {"max_tokens": 1000}},
        {"reasoning": {"enabled": True}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"thinking": {"type": "adaptive"}},
    ],
)
def test_reasoning_of_every_api(fields: dict[str, Any]) -> None:
    assert capabilities(**fields) == ("reasoning",)


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_effort": "none"},
        {"reasoning": {"effort": "none"}},
        {"reasoning": {"enabled": False}},
        {"thinking": {"type": "disabled"}},
        {"response_format": {"type": "text"}},
        {"tools": []},
        {"plugins": [{"id": "file-parser"}]},
        {"text": "plain", "reasoning": 7, "thinking": [], "tools": {}, "plugins": "web"},
    ],
)
def test_what_is_not_asked_for_is_no_capability(fields: dict[str, Any]) -> None:
    assert capabilities(**fields) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"web_search_options": {}},
        {"plugins": [{"id": "web"}]},
    ],
)
def test_web_search_beside_the_tools(fields: dict[str, Any]) -> None:
    assert capabilities(**fields) == ("web_search",)


@pytest.mark.parametrize("kind", ["web_search_20250305", "web_search_preview", "openrouter:web_search"])
def test_web_search_as_a_tool_of_the_provider(kind: str) -> None:
    assert capabilities(tools=[{"type": kind}]) == ("tools", "web_search")


@pytest.mark.parametrize(
    "asked",
    [
        [{"role": "user", "content": [*PARTS, {"type": "image_url", "image_url": {"url": "data:,"}}]}],
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]}]},
    ],
)
def test_an_image_among_the_parts_asks_for_vision(asked: Any) -> None:
    assert capabilities(asked) == ("vision",)


@pytest.mark.parametrize(
    "asked", [None, "Hi", [7, None, {"content": 7}], {"messages": PARTS}, {"input": "Hi"}]
)
def test_no_image_asks_for_none(asked: Any) -> None:
    assert capabilities(asked) == ()


@pytest.mark.parametrize(("length", "kept"), [(16 * 1024 - 2, True), (16 * 1024 - 1, False)])
def test_a_parameter_longer_than_16_kib_is_no_setting(length: int, kept: bool) -> None:
    told = parameters(stop="x" * length, seed=7)
    assert told == ({"stop": "x" * length, "seed": 7} if kept else {"seed": 7})
