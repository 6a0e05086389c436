import base64
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner, Result

from broadcast.cli import main

PASSWORD = "a long enough password"
PEOPLE = ("--email", "ops@example.com", "--password", PASSWORD, "--workspace", "Checkout team")


class Shell:
    """Runs commands in a folder of their own, as a person would."""

    def __init__(self, folder: Path) -> None:
        self.variables: dict[str, str | None] = {
            name: None for name in os.environ if name.startswith("BROADCAST_")
        }
        self.variables["BROADCAST_DATA_DIR"] = str(folder)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, words, env=self.variables)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "var")


def every_command(group: Group, *above: str) -> Iterator[tuple[str, ...]]:
    for name, command in sorted(group.commands.items()):
        yield (*above, name)
        if isinstance(command, Group):
            yield from every_command(command, *above, name)


@pytest.mark.parametrize("words", tuple(every_command(main)), ids=" ".join)
def test_every_command_explains_itself(shell: Shell, words: tuple[str, ...]) -> None:
    result = shell.run(*words, "--help")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[2].strip()


def test_bootstrap_prints_what_scripts_need(shell: Shell) -> None:
    result = shell.run("bootstrap", *PEOPLE, "--json")

    made = json.loads(result.stdout)
    assert set(made) == {"workspace_id", "workspace_slug", "api_key", "management_key", "login_url"}
    assert made["workspace_slug"] == "checkout-team"
    assert made["api_key"].startswith("sk-")
    assert made["management_key"].startswith("sk-mgmt-")


def test_a_second_bootstrap_prints_null_keys_unless_new_ones_are_asked_for(shell: Shell) -> None:
    shell.run("bootstrap", *PEOPLE, "--json")

    second = json.loads(shell.run("bootstrap", *PEOPLE, "--json").stdout)
    third = json.loads(shell.run("bootstrap", *PEOPLE, "--json", "--new-keys").stdout)

    assert (second["api_key"], second["management_key"]) == (None, None)
    assert third["api_key"].startswith("sk-")
    assert third["workspace_id"] == second["workspace_id"]


def test_bootstrap_makes_no_destination(shell: Shell) -> None:
    shell.run("bootstrap", *PEOPLE, "--json")

    assert json.loads(shell.run("status", "--json").stdout) == {"data": []}


def test_a_command_on_an_empty_folder_says_to_migrate(shell: Shell) -> None:
    result = shell.run("status")

    assert result.exit_code == 1
    assert "broadcast migrate" in result.stderr


def test_an_unknown_variable_stops_with_its_name(shell: Shell) -> None:
    shell.variables["BROADCAST_PROT"] = "1"

    result = shell.run("migrate")

    assert result.exit_code == 1
    assert "BROADCAST_PROT" in result.stderr
    assert "Traceback" not in result.output


def test_postgresql_without_an_encryption_key_does_not_start(shell: Shell) -> None:
    shell.variables["BROADCAST_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"

    result = shell.run("migrate")

    assert result.exit_code == 1
    assert "BROADCAST_ENCRYPTION_KEYS" in result.stderr


def test_doctor_finds_nothing_on_a_fresh_installation(shell: Shell) -> None:
    shell.run("bootstrap", *PEOPLE)

    result = shell.run("doctor", "--json")

    assert result.exit_code == 0
    assert all(finding["ok"] for finding in json.loads(result.stdout)["data"])


def test_doctor_says_what_to_do_when_the_database_is_not_migrated(shell: Shell) -> None:
    result = shell.run("doctor")

    assert result.exit_code == 1
    assert "broadcast migrate" in result.stdout


def test_keys_rotate_to_the_first_key_and_the_old_one_can_go(shell: Shell, tmp_path: Path) -> None:
    shell.run("bootstrap", *PEOPLE)
    old = (tmp_path / "var" / "encryption_keys").read_text().strip()
    new = "k2:" + base64.b64encode(secrets.token_bytes(32)).decode()

    shell.variables["BROADCAST_ENCRYPTION_KEYS"] = f"{new},{old}"
    rotated = shell.run("keys", "rotate")
    shell.variables["BROADCAST_ENCRYPTION_KEYS"] = new
    verified = shell.run("keys", "verify")

    assert rotated.exit_code == 0
    assert verified.exit_code == 0


def test_a_lost_key_is_said_by_verify_and_by_doctor(shell: Shell) -> None:
    shell.run("bootstrap", *PEOPLE)
    shell.variables["BROADCAST_ENCRYPTION_KEYS"] = "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()

    verified = shell.run("keys", "verify")
    examined = shell.run("doctor")

    assert verified.exit_code == 1
    assert "content key" in verified.stdout
    assert "BROADCAST_ENCRYPTION_KEYS" in examined.stdout
