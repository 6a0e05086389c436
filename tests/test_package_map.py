"""The package says what is in it."""

from tests.package_map import MAP, written


def test_the_map_names_every_module_as_it_names_itself() -> None:
    assert MAP.read_text(encoding="utf-8") == written(), "run: make docs"
