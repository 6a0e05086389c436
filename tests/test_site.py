"""The site of the documents: it builds strictly, leads where it says, and asks nobody else for anything."""

import html
import inspect
import json
import posixpath
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from broadcast.destination import Destination
from destinations import TYPES
from tests.site import api_pages, destination_pages, hook
from tests.site.markdown import code, prose, table
from tests.test_architecture import modules, shown
from web.api.openapi import document

ROOT: Final = Path(__file__).parents[1]
MOST_OF_A_PICTURE: Final = 150_000
API: Final = document(TYPES)


@dataclass(kw_only=True)
class Read:
    """What a page holds: places, links, what it loads, its text."""

    places: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    text: str = ""


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.read = Read()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.read.places.add(given["id"])
        if tag == "a":
            self.read.links.append(given["href"])
        elif "src" in given or tag == "link":
            self.read.loads.append(given.get("src") or given["href"])

    def handle_data(self, data: str) -> None:
        self.read.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def read(site: Path) -> Mapping[str, Read]:
    return {path.relative_to(site).as_posix(): _read(path) for path in sorted(site.rglob("*.html"))}


def _read(path: Path) -> Read:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.read


def _target(page: str, link: str) -> tuple[str, str]:
    """Return the file a link of a page leads to, and the place in it."""
    parts = urlsplit(link)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path)))
    return (path if parts.path else page), unquote(parts.fragment)


def test_every_link_within_the_site_leads_somewhere(read: Mapping[str, Read], site: Path) -> None:
    lost = [
        (page, link)
        for page, found in read.items()
        for link in found.links
        if not urlsplit(link).scheme and not _is_there(read, site, *_target(page, link))
    ]
    assert lost == []


def _is_there(read: Mapping[str, Read], site: Path, path: str, place: str) -> bool:
    return (site / path).is_file() and (not place or place in read[path].places)


def test_no_page_loads_anything_from_elsewhere(read: Mapping[str, Read], site: Path) -> None:
    loads = [(page, address) for page, found in read.items() for address in found.loads]
    assert [(page, address) for page, address in loads if urlsplit(address).scheme] == []
    assert [
        (page, address) for page, address in loads if not (site / _target(page, address)[0]).is_file()
    ] == []


def test_no_style_sheet_loads_anything_from_elsewhere(site: Path) -> None:
    sheets = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert "@import" not in sheets
    loads = re.findall(r"url\([\"']?([^\"')]*)", sheets)
    own = [address for address in loads if not address.startswith("data:")]
    assert own
    assert [address for address in own if not (site / "assets" / address).is_file()] == []


def test_a_page_has_one_place_in_the_navigation() -> None:
    named = list(hook.named(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert sorted(named) == sorted(set(named))


def test_every_page_is_reached_from_the_first(read: Mapping[str, Read]) -> None:
    found = {_target("index.html", link)[0] for link in read["index.html"].links}
    assert set(read) - found == set()


@pytest.mark.parametrize("slug", sorted(TYPES))
def test_a_destination_type_has_a_page_that_says_what_it_declares(
    slug: str, read: Mapping[str, Read]
) -> None:
    kind = TYPES[slug]
    said = " ".join(read[f"destinations/{slug}.html"].text.split())
    declared = [
        kind.title,
        *kind.setup,
        *(word for spec in kind.specs() for word in (spec.label, spec.outside, spec.help, *spec.choices)),
        *(address for spec in kind.specs() for address in spec.known.values()),
        *(words for spec in kind.specs() for words in spec.instead.values()),
        *(f"{status} {hint}" for status, hint in kind.hints.items()),
        f"{kind.max_bytes:,} bytes",
        f"{kind.max_attribute_bytes:,} bytes",
        *(word for view in kind.views for word in (view.title, view.use)),
        kind.sql,
    ]
    assert [words for words in declared if " ".join(words.split()) not in said] == []


def test_everything_a_type_can_declare_is_told_or_left_out_for_a_reason() -> None:
    told = {
        *("title", "category", "docs", "setup", "sql", "views", "encoding", "sent_as", "compress", "hints"),
        *("ingest_proves", "max_age_s", "max_spans", "max_bytes", "max_attribute_bytes"),
    }
    left_out = {
        "mark": "two letters that stand for a picture",
        "media_type": "told by what is sent",
        "total_cost_attributes": "told by the page of the vocabulary",
        "prompt_attributes": "told by the page of the vocabulary",
    }
    assert told | set(left_out) == set(inspect.get_annotations(Destination))


@pytest.mark.parametrize("slug", sorted(TYPES))
def test_the_example_of_a_type_is_a_destination(slug: str) -> None:
    """Secrets are left to be filled in, and that is all that is."""
    kind: type[Destination] = TYPES[slug]
    config = destination_pages.example(slug, kind)["config"]
    assert isinstance(config, dict)
    given = {spec.outside: spec.example for spec in kind.specs() if spec.secret and spec.outside in config}
    assert kind.parse({**config, **given}).endpoint().startswith("http")


@pytest.mark.parametrize("tag", api_pages.tags(API))
def test_every_operation_has_its_place(tag: str, read: Mapping[str, Read]) -> None:
    page = read[f"api/{tag}.html"]
    said = " ".join(page.text.split())
    for method, path, operation in api_pages.operations(API):
        if operation["tags"] == [tag]:
            assert operation["operationId"] in page.places
            assert f"{operation['summary']} {method} {path}".replace("`", "") in said


def test_every_schema_has_its_place(read: Mapping[str, Read]) -> None:
    assert {name.lower() for name in API["components"]["schemas"]} - read["api/schemas.html"].places == set()


def test_every_module_says_what_it_is(read: Mapping[str, Read]) -> None:
    text = read["modules.html"].text
    silent = [shown(path) for path in modules() if path.stat().st_size and shown(path) not in text]
    assert silent == []


def test_no_place_for_a_module_is_left_empty(site: Path) -> None:
    assert [path for path in site.rglob("*.html") if "says:" in path.read_text(encoding="utf-8")] == []


def test_everything_can_be_searched_for(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert {html.unescape(entry["title"]) for entry in index["docs"]} >= {
        kind.title for kind in TYPES.values()
    }


def test_a_picture_is_small(site: Path) -> None:
    pictures = [path for path in (site / "pictures").iterdir() if path.suffix == ".png"]
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size >= MOST_OF_A_PICTURE] == []


def test_every_picture_is_on_a_page(read: Mapping[str, Read], site: Path) -> None:
    shown_ones = {_target(page, address)[0] for page, found in read.items() for address in found.loads}
    assert {f"pictures/{path.name}" for path in (site / "pictures").iterdir()} - shown_ones == set()


# -- the Markdown that generated pages are made of -----------------------------------------------------------


def test_code_in_a_cell_holds_anything() -> None:
    assert code("__init__ <c>") == "`__init__ <c>`"
    assert code("a|b <c> & __d__") == "<code>a&#124;b &lt;c&gt; &amp; &#95;&#95;d&#95;&#95;</code>"


def test_prose_keeps_brackets_and_leads_to_addresses() -> None:
    assert (
        prose("See https://example.com/a, or /s/<name>.") == "See <https://example.com/a>, or /s/&lt;name>."
    )


def test_prose_leaves_code_alone() -> None:
    assert prose("`https://example.com/a`") == "`https://example.com/a`"


def test_a_table_leaves_out_a_column_that_holds_nothing() -> None:
    assert table(("a", "b"), [("1", ""), ("2", "")]) == "| a |\n| --- |\n| 1 |\n| 2 |\n"


def test_a_table_without_rows_is_not_there() -> None:
    assert table(("a", "b"), []) == ""
