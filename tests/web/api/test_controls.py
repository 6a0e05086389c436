"""What leaves and how much of it, as the API takes, keeps and shows it."""

from collections.abc import Iterator
from typing import Any

import pytest

from broadcast import privacy, sampling
from tests.receiver import Receiver
from tests.web.api.conftest import Api
from tests.web.api.destinations import BASE, created

SETTINGS: dict[str, list[Any]] = {
    "privacy_level": list(privacy.LEVELS),
    "sampler": [None, *sampling.SAMPLERS],
    "resource_attributes": [None, {"team": "search", "count": 3, "ratio": 0.5, "on": True}],
    "redaction_patterns": [None, ["EMP-[0-9]+", ".*secret.*"]],
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def test_every_setting_is_taken_kept_and_taken_back(http: Api, receiver: Receiver) -> None:
    uid = created(http, receiver)["id"]
    for name, offered in SETTINGS.items():
        for value in (*offered, offered[0]):
            changed = http.call("PATCH", f"{BASE}/{uid}", key=http.management_key, body={name: value})
            assert changed.status_code == 200, changed.text
            read = http.call("GET", f"{BASE}/{uid}", key=http.management_key).json["data"]
            assert changed.json["data"][name] == read[name] == value


@pytest.mark.parametrize("level", privacy.LEVELS)
def test_openrouters_switch_is_on_for_metadata_alone(http: Api, receiver: Receiver, level: str) -> None:
    assert created(http, receiver, privacy_level=level)["privacy_mode"] is (level == "metadata")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sampler", "sometimes", "always_on"),
        ("privacy_level", "secret", "redacted"),
        ("resource_attributes", {"service.name": "mine"}, "service.name"),
        ("redaction_patterns", ["fine", "("], "Pattern 2"),
        (
            "filter_rules",
            {"groups": [{"rules": [{"field": "trace.", "operator": "equals", "value": "x"}]}]},
            "groups[0].rules[0].field",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_the_fix(
    http: Api, receiver: Receiver, field: str, value: Any, words: str
) -> None:
    uid = created(http, receiver)["id"]
    answer = http.call("PATCH", f"{BASE}/{uid}", key=http.management_key, body={field: value})
    assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, field)
    assert words in answer.text
