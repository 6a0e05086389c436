"""The README says what the program is today."""

import re
from pathlib import Path

from broadcast import config, receipt_parser
from broadcast.gateway import upstreams
from broadcast.outbound import Outbound
from destinations import TYPES
from tests.write_docs import README, written

MAKEFILE = Path(__file__).parents[1] / "Makefile"


def test_the_table_of_destinations_is_current() -> None:
    readme = README.read_text(encoding="utf-8")
    assert readme == written(readme, TYPES), "run: make docs"


def test_every_variable_is_in_the_readme() -> None:
    readme = README.read_text(encoding="utf-8")
    supported = {name for name in config._NAMES if name.removeprefix("BROADCAST_") not in config._LATER}
    assert {name for name in supported if f"`{name}`" not in readme} == set()


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
    assert "openai/gpt-4o-mini" in upstreams.load(file, keys, Outbound()).models


def test_the_example_receipt_is_one() -> None:
    example = re.search(r"-d '(\{.*?\})'\n```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    created_at_us = 1_795_262_400_123_456
    found = receipt_parser.parse(example[1].encode(), now_us=created_at_us, retention_us=1)
    assert found.created_at_us == created_at_us
