"""The map of the package `broadcast`, a line a module, written from the modules themselves: `make docs`."""

import ast
import textwrap
from collections.abc import Iterator

from tests.test_architecture import RINGS, ROOT, USE_CASE

MAP = ROOT / "broadcast" / "__init__.py"
_WIDTH = 108
_NAMES = 20
_RINGS = {
    0: "ring 0: pure. No I/O, no clock, no database",
    1: "ring 1: doors, each to one package that does I/O, and what reads the environment",
    2: "ring 2: use cases; each opens and closes its own transactions",
    3: "ring 3: processes, and the command that starts them",
}


def written() -> str:
    """Return `broadcast/__init__.py` as it ought to be."""
    source = MAP.read_text(encoding="utf-8")
    tree = ast.parse(source)
    docstring = ast.get_docstring(tree) or ""
    after = "\n".join(source.splitlines()[tree.body[0].end_lineno or 0 :])
    return f'"""{docstring.splitlines()[0]}\n\n' + "\n".join(_lines()) + f'\n"""\n{after}\n'


def _lines() -> Iterator[str]:
    modules = dict(_modules())
    for ring, words in _RINGS.items():
        yield f"-- {words}"
        for name in sorted(name for name in modules if RINGS.get(name, USE_CASE) == ring):
            text = textwrap.wrap(modules[name], _WIDTH - _NAMES)
            yield from (
                f"{name if number == 0 else '':{_NAMES}}{line}".rstrip() for number, line in enumerate(text)
            )


def _modules() -> Iterator[tuple[str, str]]:
    """Yield every module and package with the first sentence it says of itself."""
    for path in (ROOT / "broadcast").iterdir():
        file = path / "__init__.py" if path.is_dir() else path
        name = path.name if path.is_dir() else path.stem
        if file.suffix == ".py" and file.exists() and name != "__init__":
            said = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").splitlines()[0]
            yield name, " ".join(said.split())
