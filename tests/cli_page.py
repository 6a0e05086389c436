"""The commands of docs/cli.md, as click's own help tells of them: part of `make docs`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from broadcast.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
_BEGIN: Final = "<!-- commands -->\n"
_END: Final = "<!-- /commands -->"
_WIDTH: Final = 100


def written(page: str) -> str:
    """Return the page with today's help of every command in its place."""
    before, _, rest = page.partition(_BEGIN)
    return f"{before}{_BEGIN}{''.join(_sections(main, 'broadcast'))}{_END}{rest.partition(_END)[2]}"


def _sections(group: click.Group, path: str) -> Iterator[str]:
    """Yield a section for each command, in the order of their names; a group's own help lists no more."""
    for name, command in sorted(group.commands.items()):
        place = f"{path} {name}"
        if isinstance(command, click.Group):
            yield from _sections(command, place)
            continue
        context = click.Context(command, info_name=place, terminal_width=_WIDTH, color=False)
        yield f"### {place}\n\n```text\n{command.get_help(context)}\n```\n\n"
