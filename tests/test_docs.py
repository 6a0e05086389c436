"""The documents say what the program is today."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from broadcast import config, receipt_parser
from broadcast.cli import main
from broadcast.gateway import upstream_file
from broadcast.outbound import Outbound
from broadcast.runtime import build
from destinations import TYPES
from tests.write_docs import (
    DELIVERY,
    README,
    VOCABULARY,
    delivery_written,
    vocabulary_written,
    written,
)
from web import create_app
from web.api import IN_FRONT

MAKEFILE = Path(__file__).parents[1] / "Makefile"
DOCUMENTS = [README, *sorted(DELIVERY.parent.glob("*.md"))]


def test_the_table_of_destinations_is_current() -> None:
    readme = README.read_text(encoding="utf-8")
    assert readme == written(readme, TYPES), "run: make docs"


def test_every_variable_is_in_the_readme() -> None:
    readme = README.read_text(encoding="utf-8")
    for_tests = {"BROADCAST_FAILPOINT"}
    assert {name for name in config._NAMES - for_tests if f"`{name}`" not in readme} == set()


def test_every_make_command_of_the_readme_exists() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE.read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", README.read_text(encoding="utf-8"))) <= verbs


def test_the_makefile_explains_every_verb() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE.read_text(), re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE.read_text(), re.MULTILINE))


def test_the_example_of_upstreams_loads(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    file = tmp_path / "upstreams.yaml"
    file.write_text(example[1])
    keys = {"OPENAI_API_KEY": "sk-example", "BACKUP_API_KEY": "sk-example"}
    assert "openai/gpt-4o-mini" in upstream_file.load(file, keys, Outbound()).models


def test_the_example_receipt_is_one() -> None:
    example = re.search(r"-d '(\{.*?\})'\n```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    created_at_us = 1_795_262_400_123_456
    found = receipt_parser.parse(example[1].encode(), now_us=created_at_us, retention_us=1)
    assert found.created_at_us == created_at_us


def test_the_table_of_answers_is_what_the_code_does() -> None:
    text = DELIVERY.read_text(encoding="utf-8")
    assert text == delivery_written(text), "run: make docs"


def test_the_tables_of_vocabulary_are_what_the_destinations_make() -> None:
    text = VOCABULARY.read_text(encoding="utf-8")
    assert text == vocabulary_written(text, TYPES), "run: make docs"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]*)\)", document.read_text(encoding="utf-8")):
        path, _, place = target.partition("#")
        file = (document.parent / path) if path else document
        assert file.exists(), target
        assert not place or place in _places(file), target


def _places(file: Path) -> set[str]:
    """Return the places of a document that can be linked to, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_a_document_exists(document: Path) -> None:
    for line in re.findall(r"\bbroadcast ((?:[a-z][a-z-]+ ?)+)", _code(document)):
        command: click.Command = main
        for word in line.split():
            if not isinstance(command, click.Group):
                break
            assert word in command.commands, line
            command = command.commands[word]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_of_a_document_exists(document: Path) -> None:
    known = {option for command in _commands(main) for one in command.params for option in one.opts}
    lines = re.findall(r"\bbroadcast [a-z][^`\n#]*", _code(document))
    given = {option for line in lines for option in re.findall(r"(?<= )--[a-z-]+", line)}
    assert given - known == set()


def _commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from _commands(one)


def _code(document: Path) -> str:
    """Return what stands between backquotes, one piece a line."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*blocks, *(piece.replace("\n", " ") for piece in inline)])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_variable_of_a_document_is_read(document: Path) -> None:
    named = set(re.findall(r"\bBROADCAST_[A-Z_]+[A-Z]\b", document.read_text(encoding="utf-8")))
    assert {name.removesuffix("_FILE") for name in named} - config._NAMES == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_address_of_the_api_in_a_document_is_served(document: Path, tmp_path: Path) -> None:
    services = build(config.load({"BROADCAST_DATA_DIR": str(tmp_path)}), TYPES)
    served = create_app(services).url_map.bind("localhost")
    services.store.close()
    for address in re.findall(r"/api/v1(?:/[a-z{$][A-Za-z0-9}_-]*)+", document.read_text(encoding="utf-8")):
        # Some are answered in front of the routes.
        assert served.allowed_methods(address) or address in IN_FRONT, address
