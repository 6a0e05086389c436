"""The page of the modules: what each says of itself, ring by ring, and which door each package has."""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.site.markdown import code, prose, sections, sentence, table
from tests.test_architecture import DOORS, PACKAGES, ROOT, dotted, modules, ring, shown, tree

PATH: Final = "modules.md"
_RINGS: Final = (
    "Ring 0: pure, with no clock, no file, no network, no database",
    "Ring 1: doors, and what reads the environment",
    "Ring 2: use cases; each opens and closes its own transactions",
    "Ring 3: processes",
)
_INTRO: Final = """# Modules

What each module says of itself. A ring imports its own level and below; `broadcast/` never imports
`destinations/` or `web/`, except where the program is assembled. `tests/test_architecture.py` holds all of it
by walking the syntax tree.

"""


def page() -> str:
    """Return the page."""
    rings = [(title, _table(_of_ring(number))) for number, title in enumerate(_RINGS)]
    others = [(f"{package}/", _table(_of_package(package))) for package in PACKAGES if package != "broadcast"]
    return _INTRO + sections(*rings, *others, ("Doors", _doors()))


def _of_ring(number: int) -> Iterator[Path]:
    return (path for path in _of_package("broadcast") if ring(dotted(path)) == number)


def _of_package(package: str) -> Iterator[Path]:
    return (path for path in modules() if shown(path).startswith(f"{package}/"))


def _table(paths: Iterator[Path]) -> str:
    said = ((path, sentence(ast.get_docstring(tree(path)))) for path in paths)
    return table(
        ("module", "what it is"), ((code(shown(path)), prose(words)) for path, words in said if words)
    )


def _doors() -> str:
    words = "A package that does input or output, or belongs to one layer, is imported in one place:\n\n"
    rows = ((code(package), ", ".join(map(code, places))) for package, places in sorted(DOORS.items()))
    return words + table(("package", "door"), rows)


def said(path: str) -> str:
    """Return what a module says of itself, for a page that explains it: a quotation, with its name."""
    words = ast.get_docstring(tree(ROOT / path)) or ""
    return _quoted("\n\n".join([f"`{path}`:", *map(_paragraph, words.split("\n\n"))]))


def _paragraph(text: str) -> str:
    """Return a paragraph; one whose lines are set in columns keeps them."""
    columns = re.search(r"^ |\S {2,}\S", text, re.MULTILINE)
    return textwrap.indent(textwrap.dedent(text), "    ") if columns else prose(text)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
