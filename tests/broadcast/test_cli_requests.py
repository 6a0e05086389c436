"""`broadcast usage` and `broadcast requests`: the API's objects, and tables for people."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.broadcast.cli_shell import NOW, Shell, local, remote, serving, shell

__all__ = ("local", "remote", "shell")

PRICED = {
    "usage": {"input_tokens": 1200, "output_tokens": 345},
    "cost": {"total_usd": "1.5"},
    "provider": "OpenAI",
    "provider_slug": "openai",
    "capabilities": ["tools"],
}


# -- usage -------------------------------------------------------------------------------------------


def test_usage_as_json_is_the_answer_of_the_api(shell: Shell) -> None:
    shell.post(PRICED, {"model": "m/y"})
    begin, end = "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"

    found = shell.said("usage", "--from", begin, "--to", end)

    assert found == shell.api("GET", f"/usage?from={begin}&to={end}")
    assert (found["request_count"], found["spend_micro_usd"]) == (2, 1_500_000)


def test_usage_is_a_table_by_model_and_capability_with_numbers_on_the_right(shell: Shell) -> None:
    shell.post(PRICED, {"model": "m/y"})

    lines = shell.run("usage").stdout.splitlines()

    assert "All requests         2   1,200         345  $1.500000         1" in lines
    assert [line for line in lines if line.startswith(("MODEL", "m/"))] == [
        "MODEL  REQUESTS  PROMPT  COMPLETION      SPEND  NO PRICE",
        "m/x           1   1,200         345  $1.500000         0",
        "m/y           1       0           0  $0.000000         1",
    ]
    assert any(line.startswith("tools ") for line in lines)
    assert lines[-1] == "SPEND is of the requests whose price is known; NO PRICE counts the others."


def test_a_zone_reads_times_that_lack_one_and_shows_them_in_it(local: Shell) -> None:
    words = ("usage", "--from", "2026-11-01", "--to", "2026-11-02", "--zone", "Europe/Berlin")

    assert local.said(*words)["from"] == "2026-10-31T23:00:00.000Z"
    assert local.run(*words).stdout.startswith(
        "From 2026-11-01 00:00:00 to 2026-11-02 00:00:00 (Europe/Berlin)"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "2026-11-02T00:00:00Z", "--to", "2026-11-01T00:00:00Z"), "to: Enter a beginning before"),
        (("--from", "2099-01-01T00:00:00Z"), "from: Enter a beginning before now"),
        (("--from", "2026-11-01T00:00:00"), "from: Enter a time with its zone"),
        (("--to", "yesterday"), "to: Enter a time with its zone"),
        (("--zone", "Europe/Atlantis"), "Europe/Atlantis is no zone that this machine knows"),
    ],
)
def test_a_time_that_cannot_be_is_wrong_use(shell: Shell, words: tuple[str, ...], told: str) -> None:
    result = shell.run("usage", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.split())


# -- requests ----------------------------------------------------------------------------------------


def test_requests_as_json_are_the_page_of_the_api(shell: Shell) -> None:
    shell.post({}, PRICED, {"model": "m/y"})

    found = shell.said("requests", "--model", "m/x", "--limit", "1")

    assert found == shell.api("GET", "/requests?model_id=m/x&limit=1")
    assert [row["id"] for row in found["data"]] == ["gen-0"]


def test_more_requests_than_a_page_are_read_page_by_page(shell: Shell) -> None:
    shell.post(*({} for _ in range(150)))

    found = shell.said("requests", "--limit", "120")
    everything = shell.said("requests", "--limit", "1000")

    assert [row["id"] for row in found["data"]] == [f"gen-{number}" for number in range(120)]
    assert found["next_cursor"] is not None
    assert (len(everything["data"]), everything["next_cursor"]) == (150, None)


def test_requests_are_a_table_that_says_what_is_unknown(shell: Shell) -> None:
    shell.post(PRICED, {"status": "error", "error": {"type": "timeout", "message": "late"}})

    heads, first, second = shell.run("requests").stdout.splitlines()

    assert heads.split() == ["TIME", "MODEL", "PROVIDER", "IN", "OUT", "COST", "LATENCY", "STATUS", "ID"]
    assert first.split()[2:] == [
        "m/x",
        "openai",
        "1,200",
        "345",
        "$1.500000",
        "10",
        "ms",
        "succeeded",
        "gen-0",
    ]
    assert second.split()[2:] == ["m/x", "unknown", "10", "ms", "error", "gen-1"]
    assert first.index("gen-0") == second.index("gen-1")


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ((), ["gen-0", "gen-1", "gen-2"]),
        (("--model", "m/y"), ["gen-1"]),
        (("--provider", "openai"), ["gen-0"]),
        (("--source", "byok"), ["gen-2"]),
        (("--key-name", "First key"), ["gen-0", "gen-1", "gen-2"]),
        (("--session", "s-1"), ["gen-2"]),
        (("--user", "ann"), ["gen-1"]),
        (("--request-id", "req-1"), ["gen-2"]),
        (("--status", "denied"), ["gen-1"]),
        (("--streamed",), ["gen-0"]),
        (("--not-streamed",), ["gen-1", "gen-2"]),
        (("--from", "NOW"), ["gen-0"]),
        (("--to", "NOW"), ["gen-1", "gen-2"]),
    ],
    ids=str,
)
def test_requests_are_filtered_by_each_option(local: Shell, words: tuple[str, ...], ids: list[str]) -> None:
    local.post(
        {**PRICED, "streamed": True},
        {"model": "m/y", "status": "denied", "user": "ann"},
        {"funding_source": "byok", "session_id": "s-1", "request_id": "req-1"},
    )

    asked = (word.replace("NOW", NOW.isoformat()) for word in words)
    assert [row["id"] for row in local.said("requests", *asked)["data"]] == ids


def test_one_request_as_json_is_the_answer_of_the_api(shell: Shell) -> None:
    shell.api("PATCH", "/broadcast", {"enabled": True})
    shell.connect()
    shell.post({**PRICED, "metadata": {"deep": [1, {"a": None}]}})

    assert shell.said("requests", "gen-0") == shell.api("GET", "/requests/gen-0")


def test_one_request_is_told_with_its_delivery(shell: Shell) -> None:
    shell.api("PATCH", "/broadcast", {"enabled": True})
    shell.connect()
    shell.post({**PRICED, "status": "error", "error": {"type": "timeout", "message": "too\x1b[31m late"}})

    told = shell.run("requests", "gen-0").stdout

    facts = dict(line.split("  ", 1) for line in told.split("\n\n")[0].splitlines())
    facts = {name: value.strip() for name, value in facts.items()}
    assert (facts["status"], facts["cost"], facts["prompt tokens"]) == ("error", "$1.500000", "1,200")
    assert facts["error"] == "timeout too?[31m late"
    assert told.splitlines()[-1].split()[:2] == ["Collector", "waiting"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("gen-nowhere",), 1, "There is no such request in this workspace"),
        (("gen-0", "--model", "m/x"), 2, "Give an ID, or filters."),
        (("--follow", "--to", "2026-11-20T00:00:00Z"), 2, "--follow has no end"),
        (("--status", "finished"), 2, "'finished' is not one of"),
        (("--limit", "0"), 2, "--limit"),
        (("--from", "2026-11-02T00:00:00Z", "--to", "2026-11-01T00:00:00Z"), 2, "to: Enter a time after"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_said(shell: Shell, words: tuple[str, ...], code: int, told: str) -> None:
    result = shell.run("requests", *words)

    assert (result.exit_code, result.stdout) == (code, "")
    assert told in " ".join(result.stderr.split())


def test_nothing_is_said_in_words(shell: Shell) -> None:
    assert shell.run("requests").stdout == "No requests.\n"


# -- follow ------------------------------------------------------------------------------------------


@contextmanager
def following(shell: Shell, folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `requests --follow` as a process of its own, ended as a person would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROADCAST_")}
    environment |= shell.given | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-m", "broadcast", "requests", "--follow", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def rows(process: "subprocess.Popen[str]", number: int) -> list[str]:
    """Return the ids of the next requests that are printed."""
    assert process.stdout is not None
    return [json.loads(process.stdout.readline())["id"] for _ in range(number)]


def test_following_prints_each_request_once_in_the_order_of_arrival(shell: Shell, tmp_path: Path) -> None:
    shell.post({}, {})
    began = NOW.replace(year=NOW.year - 1).isoformat()
    with following(shell, tmp_path, "--json", "--from", began) as process:
        assert rows(process, 2) == ["gen-0", "gen-1"]
        # What is older than all that was printed arrives late; more than a page arrives at once.
        shell.post({"id": "late", "created_at": (NOW.replace(hour=0)).isoformat()})
        assert rows(process, 1) == ["late"]
        shell.post(*({"id": f"many-{number}"} for number in range(230)))
        assert rows(process, 230) == [f"many-{number}" for number in range(230)]
        shell.post({"id": "last"})
        assert rows(process, 1) == ["last"]
    assert process.returncode == 0


def test_following_begins_with_what_is_new_and_keeps_to_its_filters(remote: Shell, tmp_path: Path) -> None:
    remote.post({"id": "before"})
    with following(remote, tmp_path, "--model", "m/y") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("TIME ")
        remote.post({"id": "other"}, {"id": "wanted", "model": "m/y"})
        assert process.stdout.readline().split()[-1] == "wanted"
    assert process.returncode == 0


def test_following_waits_for_an_instance_that_is_away(local: Shell, tmp_path: Path) -> None:
    began = NOW.replace(year=NOW.year - 1).isoformat()
    with ExitStack() as first:
        port = first.enter_context(serving(local))
        with following(local, tmp_path, "--json", "--from", began) as process:
            assert process.stderr is not None
            local.post({"id": "before"})
            assert rows(process, 1) == ["before"]
            first.close()
            assert process.stderr.readline().strip().endswith("Trying again.")
            local.post({"id": "meanwhile"})
            with serving(local, port):
                assert rows(process, 1) == ["meanwhile"]


def test_following_where_nothing_answers_fails_at_once(remote: Shell) -> None:
    result = remote.run("requests", "--follow", "--url", "http://127.0.0.1:1")

    assert (result.exit_code, "Nothing answers at http://127.0.0.1:1" in result.stderr) == (1, True)
