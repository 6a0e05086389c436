from typing import Any

import pytest

from broadcast.errors import SettingsError
from broadcast.wanted import MAX_IDS, Wanted, instant_us, wanted_from

FROM, TO = "2026-11-20T02:00:00Z", "2026-11-20T05:00:00+01:00"


def test_a_range_is_two_times_with_a_zone() -> None:
    wanted = wanted_from({"from": FROM, "to": TO})

    assert wanted == Wanted(from_us=1_795_140_000_000_000, to_us=1_795_147_200_000_000)
    assert wanted.source == "range"


def test_a_range_without_an_end_goes_up_to_now() -> None:
    assert wanted_from({"from": FROM, "to": None}).to_us is None


def test_a_list_keeps_each_id_once() -> None:
    wanted = wanted_from({"receipt_ids": ["gen-2", "gen-1", "gen-2"], "include_delivered": True})

    assert (wanted.receipt_ids, wanted.include_delivered, wanted.source) == (("gen-2", "gen-1"), True, "list")


def test_all_dead_letters_are_one_word() -> None:
    assert wanted_from({"dead_letters": True, "receipt_ids": None}).source == "dead_letters"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "from"),
        ({"dead_letters": False}, "from"),
        ({"to": TO}, "from"),
        ({"from": "2026-11-20T02:00:00", "to": TO}, "from"),
        ({"from": "2026-11-20", "to": TO}, "from"),
        ({"from": 1_795_140_000, "to": TO}, "from"),
        ({"from": FROM, "to": "tomorrow"}, "to"),
        ({"from": FROM, "to": FROM}, "to"),
        ({"from": TO, "to": FROM}, "to"),
        ({"from": FROM, "receipt_ids": ["gen-1"]}, "receipt_ids"),
        ({"from": FROM, "to": TO, "dead_letters": True}, "dead_letters"),
        ({"receipt_ids": ["gen-1"], "dead_letters": True}, "dead_letters"),
        ({"receipt_ids": []}, "receipt_ids"),
        ({"receipt_ids": "gen-1"}, "receipt_ids"),
        ({"receipt_ids": ["gen-1", 2]}, "receipt_ids"),
        ({"receipt_ids": [f"gen-{number}" for number in range(MAX_IDS + 1)]}, "receipt_ids"),
        ({"dead_letters": "yes"}, "dead_letters"),
        ({"dead_letters": True, "include_delivered": 1}, "include_delivered"),
        ({"dead_letters": True, "colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named_by_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as refused:
        wanted_from(body)

    assert set(refused.value.problems) == {field}


@pytest.mark.parametrize("text", ["", "now", "0001-01-01T00:00:00", None, [], "9999-12-31T23:59:59"])
def test_what_is_no_instant_is_none(text: Any) -> None:
    assert instant_us(text) is None
