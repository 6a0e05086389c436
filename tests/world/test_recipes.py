"""Every recipe of the documents, run as it stands there, by the client that it installs."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.world.documents import block, headings
from tests.world.environments import clean_environment, node_with, python_with
from tests.world.place import Place, serving

pytestmark = pytest.mark.world

PAGE = "recipes.md"
RECIPES = headings(PAGE)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a recipe printed, and the receipt that it left."""

    printed: str
    receipt_id: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with serving(tmp_path_factory.mktemp("recipes") / "broadcast") as found:
        yield found


def run(recipe: str, place: Place, folder: Path) -> Ran:
    """Run the last block of a recipe in an environment of its own, against the real program."""
    install = shlex.split(block(PAGE, recipe, "sh"))
    if install[0] == "pip":
        script = folder / "recipe.py"
        script.write_text(at_home(block(PAGE, recipe, "python"), place))
        command = [str(python_with(*install[2:]) / "python"), str(script)]
    elif install[0] == "npm":
        (folder / "node_modules").symlink_to(node_with(*install[2:]) / "node_modules")
        script = folder / "recipe.mjs"
        script.write_text(at_home(block(PAGE, recipe, "js"), place))
        command = ["node", str(script)]
    else:
        command = ["sh", "-c", at_home(block(PAGE, recipe, "sh"), place)]
    printed = printed_by(command, place, folder)
    found = re.search(r"gen-\d+-[A-Za-z0-9]{20}", printed)
    assert found, printed
    return Ran(printed=printed, receipt_id=found[0])


def printed_by(command: list[str], place: Place, folder: Path) -> str:
    environment = clean_environment(API_KEY=place.program.api_key)
    ran = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def at_home(code: str, place: Place) -> str:
    assert "http://127.0.0.1:8400" in code
    return code.replace("http://127.0.0.1:8400", place.program.url())


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_says_who_and_where(recipe: str, place: Place, tmp_path: Path) -> None:
    ran = run(recipe, place, tmp_path)
    trace = place.trace_with(lambda span: span.resource["openrouter.trace.id"] == ran.receipt_id)
    receipt = place.program.ask("GET", f"/requests/{ran.receipt_id}")["receipt"]
    assert (receipt["user"], receipt["session_id"]) == ("user-7", "session-42")
    assert receipt["trace"] == {
        "trace_name": "Answer a question",
        "generation_name": "Write the answer",
        "feature": "search",
    }
    told = trace.generation.attributes
    assert trace.above(trace.generation).name == "Answer a question"
    assert trace.generation.name == "Write the answer"
    assert (told["user.id"], told["session.id"], told["trace.metadata.feature"]) == (
        "user-7", "session-42", "search",
    )  # fmt: skip
    assert "order 7" in ran.printed


def test_the_receipt_that_the_page_of_sources_posts_is_taken(place: Place, tmp_path: Path) -> None:
    command = at_home(block("sources.md", "Receipts API", "sh"), place)
    answer = json.loads(printed_by(["sh", "-c", command], place, tmp_path))
    assert answer == {"accepted": 1, "duplicates": 0, "rejected": []}
    generation = place.trace_with(lambda span: span.resource["openrouter.trace.id"] == "req-1").generation
    assert generation.attributes["trace.metadata.feature"] == "search"
