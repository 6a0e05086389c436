"""`broadcast destinations`, as a person and as a script use it."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broadcast import runtime
from broadcast.cli import main
from broadcast.config import load
from broadcast.fates import Fate, pack
from broadcast.receipt_parser import document
from broadcast.runtime import Services
from broadcast.store import attempts, dead_letters, leases, receipts, workspaces
from broadcast.store.leases import Counts
from broadcast.store.receipts import NewReceipt
from broadcast.store.workspaces import Workspace
from destinations import TYPES
from tests import factories
from tests.receiver import Receiver

PEOPLE = ("--email", "ops@example.com", "--password", "a long enough password")
LONG_AGO = "2026-01-01T00:00:00Z"


class Home:
    """An installation with one workspace and a destination that rejected the first of three receipts."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.variables = {"BROADCAST_DATA_DIR": str(folder), "BROADCAST_EGRESS_ALLOW": "127.0.0.1"}
        self.receiver = receiver
        self.run("bootstrap", *PEOPLE, "--workspace", "Team")

    def run(self, *words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, words, env=self.variables, input=answer)

    def services(self) -> Services:
        return runtime.build(load(self.variables), TYPES)

    def fill(self) -> str:
        services = self.services()
        with services.store.read() as conn:
            (workspace,) = workspaces.all(conn)
        services.connections.set_broadcast(workspace, None, enabled=True, now_us=services.clock())
        body = {
            "type": "otel-collector",
            "name": "Collector",
            "config": {"endpoint": self.receiver.url("/ok")},
        }
        stored = services.connections.create(workspace, None, body, now_us=services.clock())
        _append(services, workspace)
        _settle(services, stored.id, Fate.REJECTED, Fate.DELIVERED, Fate.DELIVERED)
        services.store.close()
        self.receiver.clear()
        return stored.uid


def _append(services: Services, workspace: Workspace) -> None:
    now_us = services.clock()
    rows = [
        NewReceipt(
            id=name,
            fingerprint=name.encode(),
            created_at_us=now_us,
            received_at_us=now_us,
            status="succeeded",
            model="m/x",
            duration_us=1,
            trace_id="0" * 32,
            document=document(factories.receipt(id=name, created_at_us=now_us)),
        )
        for name in ("r1", "r2", "r3")
    ]
    with services.store.write() as conn:
        head = workspaces.lock_head(conn, workspace.id)
        receipts.append(conn, workspace.id, head + 1, rows)


def _settle(services: Services, destination_id: int, *fates: Fate) -> None:
    with services.store.write() as conn:
        (claim,) = leases.claim(conn, holder="test")
        attempts.insert(
            conn,
            destination_id=destination_id,
            at_us=services.clock(),
            from_seq=1,
            to_seq=len(fates),
            verdict="delivered",
            reason="200",
            config_version=1,
            delivered=fates.count(Fate.DELIVERED),
            fates=pack(fates),
        )
        counts = Counts(**{fate.value: fates.count(fate) for fate in Fate})
        leases.settle(
            conn, destination_id=destination_id, token=claim.token, advance_to=len(fates), counts=counts
        )
        dead_letters.insert(
            conn,
            destination_id=destination_id,
            workspace_id=claim.workspace_id,
            seq=1,
            receipt_id="r1",
            at_us=services.clock(),
            reason="400 bad span",
        )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Receiver() as receiver:
        yield Home(tmp_path / "var", receiver)


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_destinations_are_listed_as_a_table_or_as_the_api_does(home: Home) -> None:
    assert "No destinations yet" in home.run("destinations", "list").stdout
    uid = home.fill()

    heads, row = home.run("destinations", "list").stdout.splitlines()
    listed = said(home.run("destinations", "list", "--json"))

    assert heads.split() == ["NAME", "TYPE", "STATE", "WAITING", "ID"]
    assert row.split() == ["Collector", "otel-collector", "delivering", "0", uid]
    assert (listed["total_count"], listed["data"][0]["id"]) == (1, uid)


def test_a_test_passes_with_0_and_fails_with_1(home: Home) -> None:
    uid = home.fill()

    passed = home.run("destinations", "test", "collector")
    report = said(home.run("destinations", "test", uid, "--json"))
    home.receiver.stop()
    failed = home.run("destinations", "test", "Collector")

    assert (passed.exit_code, "passed" in passed.stdout) == (0, True)
    assert (report["ok"], report["data_accepted"]) == (True, "yes")
    assert (failed.exit_code, "failed at connect" in failed.stdout) == (1, True)


def test_a_destination_is_paused_and_resumed(home: Home) -> None:
    home.fill()

    assert "is paused" in home.run("destinations", "pause", "Collector").stdout
    assert "sends again" in home.run("destinations", "resume", "Collector").stdout
    paused = said(home.run("destinations", "pause", "Collector", "--json"))
    resumed = said(home.run("destinations", "resume", "Collector", "--json"))
    assert (paused["data"]["paused_by"], resumed["data"]["paused_by"]) == ("person", None)


def test_a_dry_run_shows_what_would_be_sent_and_begins_nothing(home: Home) -> None:
    home.fill()

    shown = home.run("destinations", "replay", "Collector", "--from", LONG_AGO, "--dry-run")
    counted = said(home.run("destinations", "replay", "Collector", "--dead-letters", "--dry-run", "--json"))

    assert shown.exit_code == 0
    assert "will be sent      1" in shown.stdout
    assert "2 were delivered before and left out" in shown.stdout
    assert (counted["data"]["receipts"], counted["data"]["to_send"]) == (1, 1)
    assert home.run("destinations", "stop-replay", "Collector").exit_code == 1


def test_a_replay_asks_before_it_begins(home: Home) -> None:
    home.fill()
    words = ("destinations", "replay", "Collector", "--dead-letters")

    refused = home.run(*words, answer="n\n")
    begun = home.run(*words, answer="y\n")

    assert refused.exit_code == 1
    assert "Replay 1 receipt?" in refused.stdout
    assert begun.exit_code == 0
    assert "runs behind fresh traffic" in begun.stdout


def test_a_script_begins_and_stops_a_replay(home: Home) -> None:
    home.fill()
    words = ("destinations", "replay", "Collector", "--receipt", "r1", "--receipt", "r2")

    begun = said(home.run(*words, "--include-delivered", "--yes", "--json"))["data"]
    second = home.run(*words, "--yes")
    stopped = said(home.run("destinations", "stop-replay", "Collector", "--json"))["data"]
    again = home.run("destinations", "stop-replay", "Collector", begun["id"])

    assert (begun["total"], begun["state"], begun["include_delivered"]) == (2, "running", True)
    assert (second.exit_code, "runs here already" in second.stderr) == (1, True)
    assert (stopped["id"], stopped["state"]) == (begun["id"], "stopped")
    assert "stopped after 0 of 2 receipts" in again.stdout


def test_who_waits_for_a_replay_is_told_how_it_ended(home: Home) -> None:
    uid = home.fill()
    services = home.services()
    with services.store.read() as conn:
        (workspace,) = workspaces.all(conn)

    def stop_it_once_it_runs() -> None:
        while not (found := services.replays.list(workspace, uid)["data"]):
            time.sleep(0.01)
        services.replays.stop(workspace, None, uid, found[0]["id"], now_us=services.clock())

    with ThreadPoolExecutor() as pool:
        stopping = pool.submit(stop_it_once_it_runs)
        words = ("destinations", "replay", "Collector", "--dead-letters", "--yes", "--wait")
        done = said(home.run(*words, "--json"))["data"]
        stopping.result()
    services.store.close()

    assert (done["state"], done["settled"], done["total"]) == ("stopped", 0, 1)


def test_a_paused_destination_is_said_to_replay_later(home: Home) -> None:
    home.fill()
    home.run("destinations", "pause", "Collector")

    begun = home.run("destinations", "replay", "Collector", "--dead-letters", "--yes")

    assert "when the destination resumes" in begun.stdout


def test_nothing_to_replay_is_a_failure_in_words(home: Home) -> None:
    home.fill()

    result = home.run("destinations", "replay", "Collector", "--receipt", "r2")

    assert (result.exit_code, "were delivered" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((), "from"),
        (("--from", "yesterday"), "from"),
        (("--from", LONG_AGO, "--dead-letters"), "dead_letters"),
    ],
)
def test_a_wrong_wish_is_wrong_use(home: Home, words: tuple[str, ...], named: str) -> None:
    home.fill()

    result = home.run("destinations", "replay", "Collector", *words)

    assert (result.exit_code, f"{named}:" in result.stderr) == (2, True)


def test_what_is_not_there_is_named_with_what_is(home: Home) -> None:
    home.fill()

    result = home.run("destinations", "pause", "Nowhere")

    assert (result.exit_code, "There are: Collector." in result.stderr) == (1, True)


def test_several_workspaces_need_a_choice(home: Home) -> None:
    home.fill()
    home.run("bootstrap", *PEOPLE, "--workspace", "Others")

    without = home.run("destinations", "list")
    wrong = home.run("destinations", "list", "--workspace", "nowhere")
    chosen = home.run("destinations", "list", "--workspace", "team")

    assert (without.exit_code, "team, others" in without.stderr) == (2, True)
    assert wrong.exit_code == 2
    assert "Collector" in chosen.stdout
