from typing import Any

import pytest

from broadcast.gateway.usage import anthropic_usage, openai_usage
from broadcast.receipt import Usage

CHAT = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def counted(**more: int) -> Usage:
    return Usage(**{"input_tokens": 100, "output_tokens": 20, "total_tokens": 120, **more})


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (CHAT, counted()),
        ({"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}, counted()),
        ({**CHAT, "prompt_tokens_details": {"cached_tokens": 30}}, counted(cache_read_tokens=30)),
        ({**CHAT, "input_tokens_details": {"cached_tokens": 30}}, counted(cache_read_tokens=30)),
        ({**CHAT, "prompt_cache_hit_tokens": 30}, counted(cache_read_tokens=30)),
        # LiteLLM and others: chat's counts, which include the cache, with Anthropic's names beside them.
        (
            {**CHAT, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 5},
            counted(cache_read_tokens=30, cache_write_tokens=5),
        ),
        ({**CHAT, "prompt_tokens_details": {"cache_write_tokens": 5}}, counted(cache_write_tokens=5)),
        ({**CHAT, "completion_tokens_details": {"reasoning_tokens": 8}}, counted(reasoning_tokens=8)),
        ({**CHAT, "output_tokens_details": {"reasoning_tokens": 8}}, counted(reasoning_tokens=8)),
        (
            {
                **CHAT,
                "prompt_tokens_details": {"audio_tokens": 4, "image_tokens": 6},
                "completion_tokens_details": {"audio_tokens": 1, "image_tokens": 2},
            },
            counted(audio_tokens=5, image_tokens=8),
        ),
        # Reasoning counted beside the answer is counted into it.
        (
            {**CHAT, "total_tokens": 150, "completion_tokens_details": {"reasoning_tokens": 30}},
            counted(output_tokens=50, total_tokens=150, reasoning_tokens=30),
        ),
        ({"prompt_tokens": 7, "total_tokens": 7}, Usage(input_tokens=7, total_tokens=7)),
        ({**CHAT, "prompt_tokens_details": None, "completion_tokens_details": [1]}, counted()),
        ({**CHAT, "completion_tokens": True}, Usage(input_tokens=100, total_tokens=120)),
        ({**CHAT, "completion_tokens": -1}, Usage(input_tokens=100, total_tokens=120)),
        ({**CHAT, "completion_tokens": 2**60}, Usage(input_tokens=100, total_tokens=120)),
        ({}, None),
        (None, None),
        ("many", None),
    ],
)
def test_openais_counts(told: Any, usage: Usage | None) -> None:
    assert openai_usage(told) == usage


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"input_tokens": 100, "output_tokens": 20}, counted()),
        (
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 70,
                "cache_creation_input_tokens": 20,
                "output_tokens": 20,
            },
            counted(cache_read_tokens=70, cache_write_tokens=20),
        ),
        (
            {"input_tokens": 100, "cache_read_input_tokens": 0, "output_tokens": 20},
            counted(cache_read_tokens=0),
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "output_tokens_details": {"thinking_tokens": 9},
                "cache_read_input_tokens": None,
            },
            counted(reasoning_tokens=9),
        ),
        ({"output_tokens": 20}, Usage(output_tokens=20)),
        ({}, None),
        ([], None),
    ],
)
def test_anthropics_counts_include_the_cache(told: Any, usage: Usage | None) -> None:
    assert anthropic_usage(told) == usage
