"""`broadcast status`, and what every command has in common: where it asks, its help, its colours."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from broadcast.cli import main
from tests.broadcast.cli_shell import Shell, local, remote, shell

__all__ = ("local", "remote", "shell")


def test_status_as_json_is_the_answer_of_the_api(shell: Shell) -> None:
    shell.api("PATCH", "/broadcast", {"enabled": True})
    made = shell.connect(sampling_rate=0.5)
    shell.post({}, {})

    found = shell.said("status")

    told = shell.api("GET", "/observability/status")
    for item in (*found["data"], *told["data"]):
        # Time goes on between the two.
        assert item.pop("lag_s") >= 0
    assert found == told
    (item,) = found["data"]
    assert (item["id"], item["workspace"], item["endpoint"]) == (
        made["id"],
        "team",
        shell.receiver.url("/ok"),
    )
    assert (item["backlog"], item["sampler"], item["sampling_rate"], item["in_flight"]) == (
        2,
        "ratio",
        0.5,
        False,
    )
    assert (item["last_error"], item["delivered"]) == (None, 0)


def test_status_is_a_table_with_what_is_wrong_below(shell: Shell) -> None:
    shell.api("PATCH", "/broadcast", {"enabled": True})
    made = shell.connect()
    shell.post({}, {})
    shell.api("POST", f"/observability/destinations/{made['id']}/pause", {})

    heads, row, paused, kept = shell.run("status").stdout.splitlines()

    assert heads.split() == [
        "DESTINATION", "STATE", "WAITING", "BEHIND", "CURSOR", "SAMPLER", "SENDING", "AS",
        "ENDPOINT",
    ]  # fmt: skip
    assert row.split()[:3] == ["team/Collector", "paused", "2"]
    assert row.split()[-3:-1] == ["always_on", "http/json"]
    assert row.split()[-1] == made["config"]["endpoint"]
    assert paused == "team/Collector: paused by a person"
    assert kept.startswith("team/Collector: what waits is kept until ")


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        ({"type": "otel-collector"}, "http/json"),
        ({"type": "otel-collector", "encoding": "protobuf"}, "http/protobuf"),
        ({"type": "webhook"}, "http/json"),
    ],
    ids=str,
)
def test_status_says_as_what_a_destination_sends(local: Shell, given: dict[str, str], protocol: str) -> None:
    kind, encoding = given["type"], given.get("encoding")
    address = {"otel-collector": "endpoint", "webhook": "url"}[kind]
    config = {address: local.receiver.url("/ok"), "headers": {"x-a": "one", "x-b": "two"}}
    local.connect(
        type=kind,
        config=config | ({"encoding": encoding} if encoding else {}),
        resource_attributes={"deployment.environment.name": "production"},
        sampler="parentbased_traceidratio",
        sampling_rate=0.25,
    )

    (item,) = local.said("status")["data"]

    assert item["protocol"] == protocol
    assert (item["header_count"], item["resource_attribute_count"]) == (2, 1)
    assert item["service_name"] == "openrouter"
    assert "  parentbased_traceidratio 0.25  " in local.run("status").stdout


def test_status_knows_a_vendor_s_own_api_and_a_type_that_is_gone(local: Shell) -> None:
    local.connect()
    told = []
    for kind in ("snowflake", "gone"):
        with local.services.store.write() as conn:
            conn.exec_driver_sql(f"UPDATE destinations SET type = '{kind}'")
        told += [item["protocol"] for item in local.said("status")["data"]]
    assert told == ["api", None]


def test_a_state_of_two_words_is_written_alike_in_each_list(shell: Shell) -> None:
    shell.api("PATCH", "/broadcast", {"enabled": True})
    shell.connect()
    shell.post({})
    with shell.services.store.write() as conn:
        conn.exec_driver_sql("UPDATE receipts SET received_at_us = received_at_us - 3600000000")

    listed = [shell.run(*words).stdout.splitlines()[1] for words in (("status",), ("destinations", "list"))]

    assert ["  catching up  " in line for line in listed] == [True, True]


def test_status_without_destinations_says_so(shell: Shell) -> None:
    assert shell.run("status").stdout.startswith("No destinations yet.")


def test_status_is_of_every_workspace_unless_one_is_chosen(local: Shell) -> None:
    local.connect()
    local.make_workspace("Other")

    assert [item["workspace"] for item in local.said("status")["data"]] == ["team"]
    assert local.said("status", "--workspace", "other") == {"data": []}


def test_destinations_are_worked_with_at_a_url_as_here(remote: Shell) -> None:
    remote.api("PATCH", "/broadcast", {"enabled": True})
    made = remote.connect()
    remote.post({}, {})

    listed, told = remote.said("destinations", "list"), remote.api("GET", "/observability/destinations")
    # Time goes on between the two.
    assert all(item.pop("behind_s") >= 0 for answer in (listed, told) for item in answer["data"])
    assert listed == told
    assert remote.run("destinations", "test", "collector").stdout.startswith("Collector: passed.")
    assert remote.said("destinations", "pause", made["id"])["data"]["paused_by"] == "person"
    assert remote.said("destinations", "resume", made["id"])["data"]["paused_by"] is None
    refused = remote.run("destinations", "replay", "Collector", "--from", "2026-01-01T00:00:00Z", "--yes")
    assert (refused.exit_code, "Traceback" in refused.output) == (1, False)
    assert (
        remote.run("destinations", "stop-replay", "Collector").stderr
        == "Error: No replay runs at Collector.\n"
    )
    assert "There are: Collector." in remote.run("destinations", "pause", "Nowhere").stderr


# -- where a command asks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--key", "sk-nobody"), 1, "does not know this key. Give a management key"),
        (("--key", "API"), 1, "This needs a management key, which begins with sk-mgmt-"),
        (("--url", "http://127.0.0.1:1"), 1, "Nothing answers at http://127.0.0.1:1"),
        (("--url", "nowhere"), 2, "--url: Enter an address such as"),
        (("--workspace", "nowhere"), 1, "There is no such workspace"),
    ],
    ids=str,
)
def test_an_instance_that_cannot_be_asked_is_said(
    remote: Shell, words: tuple[str, ...], code: int, told: str
) -> None:
    result = remote.run("status", *(remote.api_key if word == "API" else word for word in words))

    assert (result.exit_code, result.stdout) == (code, "")
    assert told in " ".join(result.stderr.split())


def test_a_url_without_a_key_says_which_key(remote: Shell) -> None:
    result = remote.run("usage", BROADCAST_KEY="")

    assert (result.exit_code, "Give a key with the scope usage:read" in result.stderr) == (1, True)


def test_a_key_without_a_url_is_wrong_use(local: Shell) -> None:
    assert local.run("usage", "--key", "sk-1").exit_code == 2


def test_options_win_over_the_environment(remote: Shell) -> None:
    url = remote.given["BROADCAST_URL"]

    wrong = {"BROADCAST_URL": "http://x", "BROADCAST_KEY": "y"}
    result = remote.run("status", "--url", url, "--key", remote.management_key, **wrong)

    assert result.exit_code == 0


def test_asking_elsewhere_makes_nothing_here(remote: Shell, tmp_path: Path) -> None:
    remote.run("status", BROADCAST_DATA_DIR=str(tmp_path / "new"))

    assert not (tmp_path / "new").exists()


def test_an_unknown_variable_stops_a_command_at_a_url_too(remote: Shell) -> None:
    result = remote.run("status", BROADCAST_ULR="x")

    assert (result.exit_code, "BROADCAST_ULR" in result.stderr) == (1, True)


# -- help and colours --------------------------------------------------------------------------------


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield (*above, name)


@pytest.mark.parametrize("words", tuple(commands(main)), ids=" ".join)
def test_the_help_of_every_command_ends_with_an_example_of_it(local: Shell, words: tuple[str, ...]) -> None:
    told = local.run(*words, "--help").stdout

    examples = told.partition("Example:\n")[2]
    assert f"broadcast {' '.join(words)}" in examples


@pytest.mark.parametrize(("no_color", "has_colours"), [(None, True), ("", True), ("1", False)])
def test_a_terminal_has_colours_unless_its_owner_says_no(
    local: Shell, no_color: str | None, has_colours: bool
) -> None:
    local.post({})
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), **local.given}
    environment |= {} if no_color is None else {"NO_COLOR": no_color}
    ours, theirs = pty.openpty()

    process = subprocess.Popen(
        [sys.executable, "-m", "broadcast", "requests"], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    told = b""
    while b"gen-0" not in told:
        told += os.read(ours, 65_536)
    process.wait(60)
    os.close(ours)

    assert (b"\x1b[32msucceeded\x1b[0m" in told) is has_colours
