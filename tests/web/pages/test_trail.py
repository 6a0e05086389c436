"""The way through a log's pages, older and newer, by the address alone."""

import pytest
from flask import Flask

from broadcast.errors import SettingsError
from web.pages.trail import Trail, trail

MARKS = [None, "a", "b", "c", "d"]


def at(**asked: str | None) -> Trail:
    """Return the place that an address asks for."""
    with Flask("trail under test").test_request_context(query_string=asked):
        return trail()


def test_the_way_back_is_the_way_there() -> None:
    place, there = at(), []
    for mark in MARKS[1:]:
        there.append(place)
        place = at(**(place.older(mark) or {}))
    back = []
    while (newer := place.newer()) is not None:
        place = at(**newer)
        back.append(place)

    assert [found.mark for found in there] == MARKS[:-1]
    assert back == list(reversed(there))


def test_a_place_is_found_again_by_its_own_parameters() -> None:
    place = at(before="c", back="a.b", slug="x", endpoint="y")

    assert place.here() == {"before": "c", "back": "a.b"}
    assert at(**place.here()) == place


def test_the_end_has_nothing_older_and_the_beginning_nothing_newer() -> None:
    assert at(before="c").older(None) is None
    assert at().newer() is None
    assert at().here() == {}


def test_a_page_names_its_parameters() -> None:
    with Flask("trail under test").test_request_context(query_string={"letters": "b", "letters_back": "a"}):
        place = trail("letters", "letters_back")

    assert place.here() == {"letters": "b", "letters_back": "a"}
    assert place.older("c") == {"letters": "c", "letters_back": "a.b"}


def test_an_address_does_not_grow_without_end() -> None:
    place = at()
    for number in range(100):
        place = at(**(place.older(str(number)) or {}))

    assert place.back == tuple(str(number) for number in range(59, 99))


@pytest.mark.parametrize("back", ["", "a.b"])
def test_a_mark_that_is_not_ours_means_the_newest(back: str) -> None:
    def read(mark: str | None) -> str:
        if mark is not None:
            raise SettingsError({"cursor": "This cursor is not one of ours."})
        return "the newest"

    page, place = at(before="odd", back=back).read(read)

    assert (page, place) == ("the newest", Trail())
