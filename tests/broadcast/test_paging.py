from types import SimpleNamespace

import pytest

from broadcast import paging
from broadcast.errors import SettingsError


def test_a_cursor_leads_to_what_comes_after_the_page() -> None:
    rows = [SimpleNamespace(id=id_) for id_ in (9, 8, 7)]

    page, more = paging.cut(rows, 2)

    assert [row.id for row in page] == [9, 8]
    assert paging.before(more) == 8
    assert paging.cut(rows, 3) == (rows, None)


def test_the_first_page_has_no_cursor() -> None:
    assert paging.before(None) is None
    assert paging.before("") is None


@pytest.mark.parametrize("cursor", ["!", "abc", "LTU", "MA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "é"])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(SettingsError):
        paging.before(cursor)


@pytest.mark.parametrize("limit", [0, 101])
def test_a_page_has_1_to_100_rows(limit: int) -> None:
    with pytest.raises(SettingsError):
        paging.check(limit)
