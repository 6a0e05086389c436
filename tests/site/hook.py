"""What MkDocs asks while it builds the site: pages made of declarations, and the program's style sheet."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]
# `mkdocs build` does not look for modules in the folder that it is run in.
sys.path.insert(0, str(ROOT))

from destinations import TYPES  # noqa: E402 - see above
from tests.site import api_pages, destination_pages, module_page  # noqa: E402 - see above
from tests.write_docs import by_title  # noqa: E402 - see above
from web.api.openapi import document  # noqa: E402 - see above

_STATIC: Final = ROOT / "web" / "static"
_ASSETS: Final = ("app.css", "icon.svg", "inter-latin-wght-normal.woff2", "inter-LICENSE.txt")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the generated pages where mkdocs.yml leaves room for them."""
    api = document(TYPES)
    found = {
        "destinations": [destination_pages.path_of(slug) for slug, _ in by_title(TYPES)],
        "operations": [*map(api_pages.path_of, api_pages.tags(api)), api_pages.SCHEMAS],
        "others": _not_in(config.nav, Path(config.docs_dir)),
    }
    config.nav = _filled(config.nav, found)
    config.mdx_configs.setdefault("toc", {})["slugify"] = place
    return config


def _not_in(nav: Any, folder: Path) -> list[str]:
    """Return the written pages that have no place yet, so that a new one is found all the same."""
    placed = set(named(nav))
    return sorted(path.name for path in folder.glob("*.md") if path.name not in placed)


def named(nav: Any) -> Iterator[str]:
    """Yield every page that a navigation names."""
    if isinstance(nav, str):
        yield nav
        return
    for below in nav.values() if isinstance(nav, dict) else nav:
        yield from named(below)


def _filled(nav: Any, found: dict[str, list[str]]) -> Any:
    """Return the navigation with a list in the place of each entry `{destinations}`."""
    if isinstance(nav, dict):
        return {title: _filled(below, found) for title, below in nav.items()}
    if not isinstance(nav, list):
        return nav
    made: list[Any] = []
    for entry in nav:
        name = entry.strip("{}") if isinstance(entry, str) else ""
        made += found[name] if name in found else [_filled(entry, found)]
    return made


def place(heading: str, _separator: str) -> str:
    """Return the place of a heading as GitHub makes it, so that a link works on both."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the style sheet, mark and typeface of the program's own pages."""
    made = {
        **destination_pages.pages(TYPES),
        **api_pages.pages(document(TYPES)),
        module_page.PATH: module_page.page(),
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    for name in _ASSETS:
        files.append(File.generated(config, f"assets/{name}", abs_src_path=str(_STATIC / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let a module speak for itself where a page has a place for it: `<!-- says: broadcast/gate.py -->`."""
    return re.sub(r"<!-- says: (\S+) -->", lambda found: module_page.said(found[1]), markdown)
