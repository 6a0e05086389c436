"""docs/cli.md says what the commands say of themselves."""

from tests.cli_page import PAGE, written


def test_the_page_of_the_command_line_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == written(text), "run: make docs"
