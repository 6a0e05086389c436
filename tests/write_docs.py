"""Write the README's table of destinations from their declarations: `make docs`."""

import re
from collections.abc import Mapping
from pathlib import Path

from broadcast.destination import Destination

README = Path(__file__).parents[1] / "README.md"
BETWEEN = re.compile(r"(?<=<!-- destinations -->\n).*(?=<!-- /destinations -->)", re.DOTALL)


def table(types: Mapping[str, type[Destination]]) -> str:
    """Return the table, by title; a setting that is secret or optional says so."""
    rows = [
        f"| {_name(kind)} | `{slug}` | {_settings(kind)} | {_wire(kind)} |" for slug, kind in _sorted(types)
    ]
    return "\n".join(
        ["| destination | `type` | settings (`config`) | sent as |", "| --- | --- | --- | --- |", *rows, ""]
    )


def _sorted(types: Mapping[str, type[Destination]]) -> list[tuple[str, type[Destination]]]:
    return sorted(types.items(), key=lambda item: item[1].title.lower())


def _name(kind: type[Destination]) -> str:
    return f"[{kind.title}]({kind.docs})" if kind.docs.startswith("https://") else kind.title


def _settings(kind: type[Destination]) -> str:
    shown = []
    for spec in kind.specs():
        notes = [word for word, holds in (("secret", spec.secret), ("optional", not spec.required)) if holds]
        shown.append(f"`{spec.outside}`" + (f" ({', '.join(notes)})" if notes else ""))
    return ", ".join(shown) or "none"


def _wire(kind: type[Destination]) -> str:
    encoding = {"json": "OTLP/JSON", "protobuf": "OTLP protobuf"}[kind.encoding]
    return f"{encoding}, gzip" if kind.compress else encoding


def written(readme: str, types: Mapping[str, type[Destination]]) -> str:
    """Return the README with today's table in its place."""
    return BETWEEN.sub(lambda _: table(types), readme)


def main() -> None:
    """Rewrite README.md."""
    from destinations import TYPES  # noqa: PLC0415 - found by looking into a folder

    README.write_text(written(README.read_text(encoding="utf-8"), TYPES), encoding="utf-8")


if __name__ == "__main__":
    main()
