from collections.abc import Iterator

import pytest

from tests.chaos.program import Program, program
from tests.databases import postgres_url, sqlite_url
from tests.faults.scene import Scene
from tests.receiver import Receiver


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> Iterator[Program]:
    """Start a web process for all cases of a module, on each kind of database."""
    folder = tmp_path_factory.mktemp("served")
    with (
        (sqlite_url if request.param == "sqlite" else postgres_url)() as url,
        program(folder, url, egress=f"127.0.0.1:{receiver.port}") as made,
    ):
        made.bootstrap()
        made.start("web-1")
        made.wait_until_ready()
        made.switch_on()
        yield made


@pytest.fixture
def scene(served: Program, receiver: Receiver) -> Iterator[Scene]:
    """Return a case of its own."""
    made = Scene(program=served, receiver=receiver)
    yield made
    made.end()
