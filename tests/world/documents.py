"""The code that stands in the documents, so that what is read is what is tested."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def block(document: str, heading: str, language: str) -> str:
    """Return the first block of a language below a heading, before the next heading of the same depth."""
    text = (DOCS / document).read_text(encoding="utf-8")
    section = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^\1 |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"{document} has no heading {heading}"
    code = re.search(rf"^```{language}\n(.*?)^```$", section[2], re.MULTILINE | re.DOTALL)
    assert code, f"{document} has no {language} below {heading}"
    return code[1]


def headings(document: str) -> list[str]:
    """Return the headings of the second depth."""
    return re.findall(r"^## (.+)$", (DOCS / document).read_text(encoding="utf-8"), re.MULTILINE)
