"""The little Markdown that generated pages are made of."""

import html
import re
from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table without the columns that hold nothing; nothing where it has no rows."""
    held = [list(row) for row in rows]
    columns = [place for place in range(len(heads)) if any(row[place] for row in held)]
    if not columns:
        return ""
    lines = (_line([row[place] for place in columns]) for row in held)
    return "\n".join([_line([heads[place] for place in columns]), _line(["---"] * len(columns)), *lines, ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |"


def code(text: str) -> str:
    """Return a text as code that fits into a table's cell, whatever it holds."""
    if not set("`|") & set(text):
        return f"`{text}`"
    # Between backquotes neither could be written; between tags, whatever Markdown reads has to be escaped.
    escaped = re.sub(r"[`|*_\[\]\\]", lambda found: f"&#{ord(found[0])};", html.escape(text, quote=False))
    return f"<code>{escaped}</code>"


def block(language: str, text: str) -> str:
    """Return code that stands alone."""
    return f"```{language}\n{text.strip()}\n```\n"


def bullets(lines: Iterable[str]) -> str:
    """Return a list, an entry a line."""
    return "".join(f"- {line}\n" for line in lines)


def steps(lines: Iterable[str]) -> str:
    """Return a numbered list."""
    return "".join(f"{number}. {line}\n" for number, line in enumerate(lines, 1))


def prose(text: str) -> str:
    """Return a text that is no Markdown of ours: its brackets stay, its addresses can be followed."""
    kept = text.replace("<", "&lt;")
    return re.sub(r"(?<![`(])https://[^\s,;)`&]+[^\s,;).`&]", lambda found: f"<{found[0]}>", kept)


def sections(*parts: tuple[str, str]) -> str:
    """Return headings with what stands below them; one that has nothing below it is left out."""
    return "\n".join(f"## {heading}\n\n{text.rstrip()}\n" for heading, text in parts if text.strip())


def sentence(text: str | None) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join((text or "").split("\n\n", maxsplit=1)[0].split())
