from datetime import UTC, timedelta, timezone

import pytest

from broadcast import sketch
from broadcast.wanted import instant_us
from web import formats

NOW = 1_795_254_068_000_000  # 2026-11-21 09:41:08 UTC


@pytest.mark.parametrize(
    ("length_us", "text"),
    [
        (20, "< 0.1 ms"),
        (41_000, "41 ms"),
        (999_499, "999 ms"),
        (999_500, "1.00 s"),
        (1_240_000, "1.24 s"),
        (9_996_000, "10.0 s"),
        (15_000_000, "15.0 s"),
        (59_960_000, "1 min 0 s"),
        (756_000_000, "12 min 36 s"),
        (26_820_000_000, "7 h 27 min"),
        (273_600_000_000, "3 d 4 h"),
        (None, formats.NONE),
    ],
)
def test_a_duration_has_the_unit_a_person_would_use(length_us: int | None, text: str) -> None:
    assert formats.duration(length_us) == text


@pytest.mark.parametrize(
    ("length_us", "text"),
    [(sketch.SHORTEST_US, "\u2264 1 ms"), (1_060, "1.1 ms"), (41_000, "41 ms"), (None, formats.NONE)],
)
def test_a_percentile_of_what_is_too_short_to_tell_apart_says_so(length_us: int | None, text: str) -> None:
    assert formats.percentile(length_us) == text


@pytest.mark.parametrize(
    ("before_s", "text"),
    [(0, "09:41:08"), (36_000, "20 Nov 23:41"), (86_400 * 400, "17 Oct 2025 09:41")],
)
def test_a_time_says_no_more_of_its_date_than_needed(before_s: int, text: str) -> None:
    assert formats.clock(NOW - before_s * 1_000_000, NOW) == text


@pytest.mark.parametrize(
    ("before_s", "text"),
    [(0, "just now"), (4, "4 s ago"), (125, "2 min ago"), (7300, "2 h ago"), (90_000, "20 Nov 08:41")],
)
def test_ages_are_relative_within_a_day(before_s: int, text: str) -> None:
    assert formats.ago(NOW - before_s * 1_000_000, NOW) == text


@pytest.mark.parametrize(
    ("before_s", "text"),
    [
        (4, "since 09:41, 4 s ago"),
        (26_000, "since 02:27, 7 h ago"),
        (40_000, "since 20 Nov 22:34, 11 h ago"),
        (86_400 * 9, "since 12 Nov 09:41"),
    ],
)
def test_since_when_is_said_to_the_minute_and_within_a_day_how_long_ago(before_s: int, text: str) -> None:
    assert formats.since(NOW - before_s * 1_000_000, NOW) == text


@pytest.mark.parametrize(
    ("length_us", "text"),
    [
        (-5, "now"),
        (0, "now"),
        (1, "1 s"),
        (38_000_000, "38 s"),
        (240_000_000, "4 min"),
        (3_900_000_000, "1 h 5 min"),
        (7_200_000_000, "2 h"),
    ],
)
def test_a_wait_is_never_said_shorter_than_it_is(length_us: int, text: str) -> None:
    assert formats.wait(length_us) == text


def test_what_the_api_says_of_an_instant_is_read_back() -> None:
    assert formats.instant(formats.iso(NOW + 204_000)) == NOW + 204_000


def test_receipts_in_a_row_are_said_by_their_ends() -> None:
    assert formats.run(148_157, 148_217) == "#148,157\u2013148,217"
    assert formats.run(7, 7) == "#7"


def test_an_instant_is_exact_on_hover_and_for_machines() -> None:
    assert formats.exact(NOW + 204_000) == "21 Nov 2026 09:41:08.204 UTC"
    assert formats.iso(NOW + 204_000) == "2026-11-21T09:41:08.204Z"


def test_money_is_exact_and_unknown_is_never_zero() -> None:
    assert formats.money(41_870_000_000) == "$41.87"
    assert formats.money(None) == "unknown"
    assert formats.money(19_000) == "$0.000019"
    assert formats.money(0) == "$0.00"
    assert formats.request_money(8_431_000) == "$0.008431"
    assert formats.request_money(0) == "$0.000000"
    assert formats.request_money(None) == "unknown"


def test_counts_sizes_shares_and_places() -> None:
    assert formats.count(148_217) == "148,217"
    assert formats.count(13_620_000) == "13.62 M"
    assert formats.size(9_800) == "9.8 kB"
    assert formats.size(12) == "12 B"
    assert formats.percent(23, 5482) == "0.42%"
    assert formats.percent(0, 0) == formats.NONE
    assert formats.sequence(148_217) == "#148,217"
    assert formats.rate(0.25) == "25%"
    assert formats.plural(1, "span") == "1 span"


@pytest.mark.parametrize("hours", [-14, -1, 0, 1, 14])
@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_every_instant_that_can_be_written_is_shown_in_every_zone(text: str, hours: int) -> None:
    at_us = instant_us(text)
    assert at_us is not None
    zone = timezone(timedelta(hours=hours))

    found = formats.local(at_us, zone)

    assert found == formats.moment(at_us)
    assert found.tzinfo in {zone, UTC}
    assert str(found.year).zfill(4) == text[:4]
    for words in (formats.clock(at_us, NOW, zone), formats.day(at_us, zone), formats.exact(at_us, zone)):
        assert text[:4].lstrip("0") in words


@pytest.mark.parametrize(
    ("word", "shown"),
    [("credits", "Credits"), ("byok", "BYOK"), ("mpp", "MPP"), ("voucher", "voucher"), (None, formats.NONE)],
)
def test_what_a_request_was_paid_with_is_said_in_words(word: str | None, shown: str) -> None:
    assert formats.source(word) == shown
