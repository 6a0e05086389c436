"""`broadcast users`: the way back in where no mail is sent."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broadcast import runtime
from broadcast.cli import main
from broadcast.config import load
from broadcast.runtime import Services
from destinations import TYPES

EMAIL, PASSWORD, NEW = "ops@example.com", "a long enough password", "another good password"


class Home:
    """An installation with one person."""

    def __init__(self, folder: Path) -> None:
        self.variables = {"BROADCAST_DATA_DIR": str(folder)}
        self.run("bootstrap", "--email", EMAIL, "--password", PASSWORD, "--workspace", "Team")

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, words, env=self.variables)

    def services(self) -> Services:
        return runtime.build(load(self.variables), TYPES)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_printed_link_chooses_a_new_password(home: Home) -> None:
    printed = home.run("users", "reset-password", "--email", "Ops@Example.com")

    assert printed.exit_code == 0, printed.output
    link = printed.output.strip().splitlines()[-1]
    assert link.startswith("http://127.0.0.1:8400/reset/")
    assert "It works once, within 60 minutes" in printed.output
    services = home.services()
    services.passwords.choose(link.rsplit("/", 1)[-1], NEW)
    assert services.accounts.log_in(EMAIL, NEW, "192.0.2.1", services.clock()) is not None
    services.store.close()


def test_a_script_gets_one_object(home: Home) -> None:
    printed = home.run("users", "reset-password", "--email", EMAIL, "--json")

    found = json.loads(printed.stdout)
    assert found.keys() == {"email", "reset_url", "expires_at"}
    assert found["email"] == EMAIL
    assert found["expires_at"].endswith("Z")


def test_an_unknown_address_is_said_and_is_no_success(home: Home) -> None:
    printed = home.run("users", "reset-password", "--email", "nobody@example.com")

    assert printed.exit_code == 1
    assert "There is no user with this address." in printed.output
