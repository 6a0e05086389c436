from datetime import UTC

import pytest

from web import formats, zones

NOW = 1_795_254_068_000_000  # 2026-11-21 09:41:08 UTC


def test_times_are_said_in_the_zone_that_was_chosen() -> None:
    berlin = zones.known("Europe/Berlin")
    assert berlin is not None
    assert formats.clock(NOW, NOW, berlin) == "10:41:08"
    assert formats.exact(NOW, berlin) == "21 Nov 2026 10:41:08.000 CET"
    assert formats.from_minute(formats.minute(NOW, berlin), berlin) == NOW - 8_000_000


@pytest.mark.parametrize("name", ["", "Europe/Nowhere", "../../etc/passwd", "x" * 100, "Europe/Bérlin"])
def test_a_zone_that_is_none_is_not_known(name: str) -> None:
    assert zones.known(name) is None
    assert zones.known("UTC") is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21T09:41Z"])
def test_a_forms_time_has_no_zone_of_its_own(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason
        formats.from_minute(text)
