"""The live test against a real receiver: every stage it can end at, and the check of a credential."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from broadcast.config import load
from broadcast.destination import OTLPDestination, Request, Response
from broadcast.egress import Policy
from broadcast.errors import GateClosed
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field
from broadcast.gate import Gate
from broadcast.report import Report
from broadcast.store import Store
from broadcast.vault import KeyRing, Vault
from destinations import TYPES
from tests.broadcast.sending import clock
from tests.receiver import Receiver

SECRET = "s3cr3t-value-of-this-test"
NO_SUCH_HOST = "https://nowhere.onion/v1/traces"
"""The resolver itself refuses this domain (RFC 7686), without asking any server."""


class Checked(OTLPDestination):
    """A type whose credential is asked about at another path before any span."""

    title = "Checked"

    base_url: HttpsUrl = field("Base URL", example="https://example.com")
    api_key: Secret = field("API key", example="key")
    check_path: str = field("Check", default="/auth/ok", example="/auth/ok")
    span_path: str = field("Spans", default="/ok", example="/ok")
    data_path: str = field("Data", default="none", example="/data")
    encoding: Literal["json", "protobuf"] = field("Encoding", default="json", example="json")
    headers: SecretHeaders = field("Headers", default=SecretHeaders(), example={"X-Team": "search"})

    def endpoint(self) -> str:
        return f"{self.base_url}{self.span_path}"

    def auth(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.api_key.reveal()}"}

    def credential_check(self, at_us: int) -> Request | None:
        del at_us
        if not self.check_path.startswith("/auth"):
            return None
        return Request(
            method="GET", url=f"{self.base_url}{self.check_path}", headers=dict(self.auth()), body=b""
        )

    def judge_credential(self, response: Response) -> str | None:
        return None if response.status == 200 else "Make a key that may write, and paste it here."

    def data_check(self, trace_id: str, at_us: int) -> Request | None:
        del at_us
        if not self.data_path.startswith("/"):
            return None
        url = f"{self.base_url}{self.data_path}?trace={trace_id}"
        return Request(method="GET", url=url, headers=dict(self.auth()), body=b"")

    def judge_data(self, response: Response) -> bool | None:
        return response.body == b"seen" if response.status == 200 else None

    def warnings(self) -> dict[str, str]:
        return {"apiKey": "This looks like a test key."} if self.api_key.reveal().startswith("test-") else {}

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        return f"https://example.com/trace/{trace_id}?at={at_us}"


@dataclass
class Door:
    """A gate, and a receiver behind it."""

    gate: Gate
    receiver: Receiver

    def probe(self, span_path: str = "/ok", check_path: str = "none", **settings: Any) -> Report:
        config = {"baseUrl": self.receiver.url(""), "apiKey": SECRET, **settings}
        made = Checked.parse({**config, "spanPath": span_path, "checkPath": check_path})
        return self.gate.probe(made, now_us=clock())


@pytest.fixture
def make_gate(tmp_path: Path) -> Iterator[Any]:
    opened: list[Store] = []

    def make(**options: Any) -> Gate:
        config = load({"BROADCAST_DATA_DIR": str(tmp_path)})
        store = Store.open(f"sqlite:///{tmp_path}/gate.db")
        opened.append(store)
        policy = Policy.parse(["127.0.0.1"])
        return Gate(store, Vault(KeyRing.parse(config.encryption_keys)), policy, config, **options)

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def door(make_gate: Any) -> Iterator[Door]:
    with Receiver() as receiver:
        yield Door(gate=make_gate(), receiver=receiver)


def facts(report: Report) -> tuple[str, str, str]:
    return report.reachable, report.credential_accepted, report.data_accepted


# -- every stage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "stage", "expected"),
    [
        ("/status/401", "credential", ("yes", "no", "not_tried")),
        ("/status/403", "credential", ("yes", "no", "not_tried")),
        ("/status/404", "data", ("yes", "not_tried", "no")),
        ("/status/405", "data", ("yes", "not_tried", "no")),
        ("/status/413", "data", ("yes", "yes", "no")),
        ("/status/400", "data", ("yes", "yes", "no")),
        ("/status/500", "data", ("yes", "not_tried", "no")),
        ("/html", "data", ("yes", "not_tried", "no")),
        ("/redirect", "data", ("yes", "not_tried", "no")),
        ("/partial/1", "data", ("yes", "yes", "no")),
        ("/reset", "data", ("yes", "not_tried", "not_tried")),
        ("/garbage", "data", ("yes", "not_tried", "not_tried")),
    ],
)
def test_an_answer_that_is_no_success_names_its_stage(
    door: Door, path: str, stage: str, expected: tuple[str, str, str]
) -> None:
    report = door.probe(path)
    assert (report.ok, report.stage) == (False, stage)
    assert facts(report) == expected
    assert report.message
    assert report.hint
    assert report.evidence["host"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "stage"),
    [
        ("http://169.254.169.254", "address"),
        ("https://10.1.2.3", "address"),
        (NO_SUCH_HOST, "dns"),
        ("http://127.0.0.1:9", "connect"),
    ],
)
def test_a_place_that_cannot_be_reached_names_its_stage(door: Door, address: str, stage: str) -> None:
    report = door.probe(baseUrl=address)
    assert (report.ok, report.stage) == (False, stage)
    assert facts(report) == ("no", "not_tried", "not_tried")
    assert report.hint
    assert report.evidence["host"] in address
    assert door.receiver.connections == 0


def test_a_certificate_that_nobody_trusts_is_tls(make_gate: Any) -> None:
    with Receiver(tls=True) as receiver:
        report = Door(gate=make_gate(), receiver=receiver).probe()
    assert (report.stage, report.reachable) == ("tls", "no")
    assert "not trusted" in report.message or "self-signed" in report.message
    assert receiver.requests == []


def test_a_certificate_for_another_host_is_tls(make_gate: Any) -> None:
    with Receiver(tls=True, names=("elsewhere.test",)) as receiver:
        report = Door(gate=make_gate(tls=receiver.client_context()), receiver=receiver).probe()
    assert report.stage == "tls"
    assert "another" in report.message


def test_a_good_certificate_is_part_of_the_evidence(make_gate: Any) -> None:
    with Receiver(tls=True) as receiver:
        report = Door(gate=make_gate(tls=receiver.client_context()), receiver=receiver).probe()
    assert report.ok
    assert str(report.evidence["tls"]).startswith("TLS")


def test_plain_http_where_tls_is_spoken_is_no_success(make_gate: Any) -> None:
    with Receiver(tls=True) as receiver:
        address = receiver.url("").replace("https", "http")
        report = Door(gate=make_gate(deadline_s=1.0), receiver=receiver).probe(baseUrl=address)
    assert (report.ok, report.credential_accepted) == (False, "not_tried")


@pytest.mark.parametrize("path", ["/slow/30", "/drip", "/drip-headers"])
def test_an_answer_that_does_not_come_ends_at_the_deadline(make_gate: Any, path: str) -> None:
    with Receiver() as receiver:
        report = Door(gate=make_gate(deadline_s=0.3), receiver=receiver).probe(path)
    assert (report.stage, *facts(report)) == ("data", "yes", "not_tried", "not_tried")
    assert "0.3 seconds" in report.message


def test_a_success_says_where_to_find_the_span(door: Door) -> None:
    report = door.probe()
    span = door.receiver.spans()[0]
    assert facts(report) == ("yes", "yes", "yes")
    assert report.evidence["trace_url"].startswith(f"https://example.com/trace/{span.trace_id}?at=")


def test_what_only_looks_wrong_is_said_beside_the_result(door: Door) -> None:
    assert door.probe(apiKey="test-key").warnings == {"apiKey": "This looks like a test key."}
    assert door.probe().warnings == {}


@pytest.mark.parametrize("path", ["/echo", "/status/401"])
def test_the_answer_comes_without_the_secret_and_short(door: Door, path: str) -> None:
    door.receiver.answer("/leak", status=400, body=f"Bearer {SECRET} " * 100)
    for report in (door.probe(path), door.probe("/leak")):
        assert SECRET not in report.answer + report.message + str(report.hint)
        assert len(report.answer) <= 300


# -- the check of a credential -----------------------------------------------------------------------


def test_an_accepted_credential_is_followed_by_the_span(door: Door) -> None:
    report = door.probe(check_path="/auth/ok")
    assert report.ok
    assert [(seen.method, seen.path) for seen in door.receiver.requests] == [
        ("GET", "/auth/ok"),
        ("POST", "/ok"),
    ]
    assert door.receiver.requests[0].headers["authorization"] == f"Bearer {SECRET}"


def test_a_refused_credential_ends_the_test_before_any_span(door: Door) -> None:
    door.receiver.answer("/auth/no", status=403, body=f"the key {SECRET} may not write")
    report = door.probe(check_path="/auth/no")
    assert (report.ok, report.stage) == (False, "credential")
    assert facts(report) == ("yes", "no", "not_tried")
    assert report.status_code == 403
    assert report.hint == "Make a key that may write, and paste it here."
    assert report.answer == "the key [secret] may not write"
    assert [seen.method for seen in door.receiver.requests] == ["GET"]


@pytest.mark.parametrize("status", [404, 408, 429, 500, 503])
def test_who_has_not_looked_at_the_credential_has_not_refused_it(door: Door, status: int) -> None:
    door.receiver.answer(f"/auth/{status}", status=status)
    report = door.probe(check_path=f"/auth/{status}")
    assert (report.ok, report.stage, report.status_code) == (False, "credential", status)
    assert facts(report) == ("yes", "not_tried", "not_tried")


def test_a_check_that_cannot_be_asked_says_so_and_sends_nothing(door: Door) -> None:
    report = door.probe(check_path="/auth/reset")
    assert (report.ok, report.stage) == (False, "data")
    assert [seen.method for seen in door.receiver.requests if seen.method == "POST"] == []


def test_a_place_where_nothing_listens_is_named_by_the_check_too(door: Door) -> None:
    report = door.probe(check_path="/auth/ok", baseUrl="http://127.0.0.1:9")
    assert (report.stage, report.reachable) == ("connect", "no")


# -- the read-back -------------------------------------------------------------------------------------


class Blind(Checked):
    """A type whose vendor answers alike to any key and any data."""

    title = "Blind"
    ingest_proves = False


def read_back(door: Door, body: bytes, status: int = 200) -> Report:
    door.receiver.answer("/data", status=status, body=body)
    return door.probe(dataPath="/data")


def test_a_span_that_is_read_back_is_seen(door: Door) -> None:
    report = read_back(door, b"seen")
    assert (report.ok, report.evidence["data_seen"]) == (True, "yes")
    assert report.message == "The test span was accepted and read back."
    trace_id = door.receiver.spans()[0].trace_id
    assert [seen.path for seen in door.receiver.requests] == ["/ok", f"/data?trace={trace_id}"]
    assert door.receiver.requests[1].headers["authorization"] == f"Bearer {SECRET}"


def test_a_span_that_does_not_show_yet_is_looked_for_again_and_then_said(make_gate: Any) -> None:
    with Receiver() as receiver:
        report = read_back(Door(gate=make_gate(read_back_s=(0.0, 0.0, 0.0)), receiver=receiver), b"")
        assert len([seen for seen in receiver.requests if seen.path.startswith("/data")]) == 3
    assert (report.ok, report.data_accepted, report.evidence["data_seen"]) == (True, "yes", "no")
    assert report.message.endswith("It does not show there yet.")


@pytest.mark.parametrize("status", [403, 500])
def test_a_look_that_is_not_allowed_tells_nothing(door: Door, status: int) -> None:
    report = read_back(door, b"seen", status)
    assert (report.ok, report.data_accepted, report.evidence["data_seen"]) == (True, "yes", "not_tried")


def test_a_refused_span_is_not_looked_for(door: Door) -> None:
    report = door.probe("/status/400", dataPath="/data")
    assert not report.ok
    assert [seen.path for seen in door.receiver.requests] == ["/status/400"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("yes", "not_tried", "not_tried")),
        ({"checkPath": "/auth/ok"}, ("yes", "yes", "not_tried")),
        ({"checkPath": "/auth/ok", "dataPath": "/data"}, ("yes", "yes", "yes")),
    ],
)
def test_an_answer_that_proves_nothing_is_not_taken_for_a_proof(
    door: Door, settings: dict[str, str], expected: tuple[str, str, str]
) -> None:
    door.receiver.answer("/data", status=200, body=b"seen")
    config = {"baseUrl": door.receiver.url(""), "apiKey": SECRET, "checkPath": "none", **settings}
    report = door.gate.probe(Blind.parse(config), now_us=clock())
    assert report.ok
    assert facts(report) == expected


@pytest.mark.parametrize("status", [500, 404])
def test_a_credential_that_its_own_call_accepted_stays_accepted(door: Door, status: int) -> None:
    report = door.probe(f"/status/{status}", check_path="/auth/ok")
    assert facts(report) == ("yes", "yes", "no")


def test_the_gate_hands_back_the_report_of_the_check(door: Door) -> None:
    made = Checked.parse(
        {"baseUrl": door.receiver.url(""), "apiKey": SECRET, "checkPath": "/auth/status/401"}
    )
    with pytest.raises(GateClosed) as caught:
        door.gate.require_passed(made, now_us=clock())
    assert caught.value.report.stage == "credential"


def test_send_trace_does_not_ask_about_the_credential(door: Door) -> None:
    from broadcast import genai  # noqa: PLC0415 - one use

    made = Checked.parse({"baseUrl": door.receiver.url(""), "apiKey": SECRET, "checkPath": "/auth/ok"})
    spans = genai.sample_generation(clock(), "openrouter")
    assert door.gate.send(made, spans, now_us=clock(), test=False).ok
    assert [seen.method for seen in door.receiver.requests] == ["POST"]


# -- types that need more than the answer to a span ---------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"), [(200, ("yes", "yes", "not_tried")), (401, ("yes", "no", "not_tried"))]
)
def test_a_key_is_asked_about_where_ingestion_takes_any(
    door: Door, status: int, expected: tuple[str, str, str]
) -> None:
    door.receiver.answer("/flags/", status=status)
    door.receiver.answer("/batch/", status=200, body='{"status":"Ok"}')
    posthog = TYPES["posthog"].parse({"apiKey": "phc_project", "endpoint": door.receiver.url("")})
    report = door.gate.probe(posthog, now_us=clock())
    assert facts(report) == expected
    assert report.ok is (status == 200)
    assert ("look for the span there" in report.message) is report.ok


@pytest.mark.parametrize(
    ("inserted", "counted", "expected", "seen"),
    [
        (b"", b"1\n", ("yes", "yes", "yes"), "yes"),
        (b"", b"Code: 497. DB::Exception: Not enough privileges.", ("yes", "yes", "yes"), "not_tried"),
        (b"Code: 60. DB::Exception: No such table.", b"", ("yes", "not_tried", "no"), None),
    ],
)
def test_a_row_is_read_back_where_the_user_may(
    door: Door, inserted: bytes, counted: bytes, expected: tuple[str, str, str], seen: str | None
) -> None:
    door.receiver.answer("/", body=inserted, times=1)
    door.receiver.answer("/", body=counted)
    config = {"host": door.receiver.url(""), "database": "d", "username": "u", "password": "p"}
    report = door.gate.probe(TYPES["clickhouse"].parse(config), now_us=clock())
    assert facts(report) == expected
    assert report.evidence.get("data_seen") == seen
