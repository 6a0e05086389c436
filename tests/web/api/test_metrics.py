"""What Prometheus may read, and who may read it."""

import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from broadcast import scrape
from broadcast.destination import Verdict
from broadcast.fates import Fate
from broadcast.meters import CLASSES, RESULTS
from broadcast.store import Store, worker_counters, workspaces
from tests.broadcast.store.rows import a_destination, a_workspace, append_some
from tests.web.api.conftest import Api
from web import api

TOKEN = "scrape-token-of-the-tests"
Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(http: Api, **more: Any) -> Figures:
    answer = http.call("GET", "/metrics", **more)
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


def parsed(text: str) -> Figures:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(figures: Figures, name: str, **labels: str) -> float:
    return figures[name, tuple(sorted(labels.items()))]


def document(receipt_id: str, **fields: Any) -> dict[str, Any]:
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "id": receipt_id,
        "created_at": made_at,
        "duration_ms": 1,
        "model": "m",
        "status": "succeeded",
    } | fields


@pytest.fixture
def beyond(http: Api) -> Api:
    """Return the same instance with a token, and a proxy in front that is trusted."""
    config = replace(http.services.config, metrics_token=TOKEN, trusted_proxies=("127.0.0.1", "10.0.0.0/8"))
    app = Flask("beyond loopback")
    api.register(app, replace(http.services, config=config))
    return replace(http, app=app)


# -- who may read -----------------------------------------------------------------------------------


def asked(http: Api, address: str, token: str = "", **headers: str) -> int:
    answer = http.call(
        "GET", "/metrics", key=token, headers=headers, environ_overrides={"REMOTE_ADDR": address}
    )
    return int(answer.status_code)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.8.9.10", "::ffff:127.0.0.1"])
def test_loopback_needs_no_token(http: Api, address: str) -> None:
    assert asked(http, address) == 200


@pytest.mark.parametrize("address", ["192.0.2.7", "10.1.2.3", "2001:db8::1", ""])
def test_beyond_loopback_nothing_is_told_without_a_token_set(http: Api, address: str) -> None:
    assert asked(http, address) == 403
    assert asked(http, address, token=TOKEN) == 403


@pytest.mark.parametrize(
    ("token", "status"),
    [(TOKEN, 200), ("", 401), (TOKEN[:-1], 401), (TOKEN + "x", 401), ("t\u00f6ken", 401)],
)
def test_beyond_loopback_the_token_opens_it(beyond: Api, token: str, status: int) -> None:
    assert asked(beyond, "192.0.2.7", token=token) == status


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"X-Forwarded-For": "192.0.2.7"}, 401),
        ({"X-Forwarded-For": "127.0.0.1"}, 200),
        ({"X-Forwarded-For": "127.0.0.1, 192.0.2.7"}, 401),
        ({"X-Forwarded-For": "192.0.2.7, 10.0.0.3"}, 401),
        ({"X-Forwarded-For": "::1, 10.0.0.3"}, 200),
        ({"X-Forwarded-For": "no address"}, 401),
        ({"Forwarded": "for=192.0.2.7"}, 401),
        ({"X-Real-IP": "192.0.2.7"}, 401),
    ],
)
def test_behind_a_trusted_proxy_the_forwarded_address_counts(
    beyond: Api, header: dict[str, str], status: int
) -> None:
    assert asked(beyond, "127.0.0.1", **header) == status


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_proxy_on_this_machine_that_nobody_named_opens_nothing(http: Api, header: str) -> None:
    assert asked(http, "127.0.0.1", **{header: "127.0.0.1"}) == 403


def test_a_stranger_cannot_forward_themselves_in(beyond: Api) -> None:
    assert asked(beyond, "192.0.2.7", **{"X-Forwarded-For": "127.0.0.1"}) == 401


# -- what is told -----------------------------------------------------------------------------------


def test_every_label_s_values_are_there_from_the_start(http: Api) -> None:
    figures = read(http)

    for verdict in Verdict:
        assert value(figures, "broadcast_attempts_total", verdict=verdict.value) == 0
    for fate in Fate:
        assert value(figures, "broadcast_settled_receipts_total", fate=fate.value) == 0
    for result in RESULTS:
        assert value(figures, "broadcast_receipts_total", result=result) == 0
    for status_class in CLASSES:
        assert value(figures, "broadcast_gateway_requests_total", status_class=status_class) == 0
    assert value(figures, "broadcast_database_up") == 1
    assert value(figures, "broadcast_workers") == 0


def test_receipts_are_counted_by_what_became_of_them(http: Api) -> None:
    known = document("one")
    http.call("POST", "/api/v1/receipts", key=http.api_key, body=[known, document("two")])
    http.call("POST", "/api/v1/receipts", key=http.api_key, body=[known, document("x", model="")])

    figures = read(http)
    counts = {result: value(figures, "broadcast_receipts_total", result=result) for result in RESULTS}
    assert counts == {"accepted": 2, "duplicate": 1, "rejected": 1, "not_stored": 0, "lost": 0}
    assert value(figures, "broadcast_ingest_seconds_count") == 2
    assert value(figures, "broadcast_ingest_waiting_receipts") == 0


def test_receipts_that_cannot_be_stored_are_counted(http: Api) -> None:
    http.services.ingest.stop()

    answer = http.call("POST", "/api/v1/receipts", key=http.api_key, body=document("one"))

    assert answer.status_code == 503
    assert value(read(http), "broadcast_receipts_total", result="not_stored") == 1


def test_gateway_requests_are_counted_by_class(http: Api) -> None:
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}
    http.call("POST", "/api/v1/chat/completions", key=http.api_key, body=body).get_data()
    http.call("POST", "/api/v1/chat/completions", body=body).get_data()

    figures = read(http)
    assert value(figures, "broadcast_gateway_requests_total", status_class="2xx") == 1
    assert value(figures, "broadcast_gateway_requests_total", status_class="4xx") == 1


def test_destinations_are_told_by_state_and_type(http: Api) -> None:
    with http.services.store.write() as conn:
        home = a_workspace(conn, "Metrics")
        workspaces.set_broadcast(conn, home.id, True)
        a_destination(conn, home.id)
        append_some(conn, home.id, 3)

    figures = read(http)
    ((labels, count),) = [
        (dict(labels), count)
        for (name, labels), count in figures.items()
        if name == "broadcast_destinations" and dict(labels)["state"] != "off"
    ]
    assert count == 1
    assert value(figures, "broadcast_backlog_receipts", **labels) == 3
    assert value(figures, "broadcast_lag_seconds", **labels) > 0


def test_no_name_of_a_workspace_a_destination_or_a_person_is_told(http: Api) -> None:
    with http.services.store.write() as conn:
        home = a_workspace(conn, "Canary Workspace")
        a_destination(conn, home.id, name="Canary Destination")
    text = http.call("GET", "/metrics").text

    for word in ("Canary", "canary", "ann@", "example.com", http.workspace_uid, http.api_key):
        assert word not in text


def test_destinations_past_the_cap_are_one_series(http: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "MOST_DESTINATIONS", 2)
    with http.services.store.write() as conn:
        for number in range(4):
            home = a_workspace(conn, f"Home {number}")
            workspaces.set_broadcast(conn, home.id, True)
            a_destination(conn, home.id)
            append_some(conn, home.id, 1 + number)

    figures = read(http)
    own = {
        dict(labels)["destination"]: count
        for (name, labels), count in figures.items()
        if name == "broadcast_destination_backlog_receipts"
    }
    assert len(own) == 3
    assert sum(own.values()) == 1 + 2 + 3 + 4
    assert value(figures, "broadcast_destination_series_left_out") == 4 - 2
    assert value(figures, "broadcast_destination_lag_seconds", destination="other") > 0


def test_workers_are_told_while_they_say_something(http: Api) -> None:
    store = http.services.store
    with store.hold("one"), store.hold("two"), store.hold("silent"):
        with store.write() as conn:
            gauges = {"open_sends": 2, "open_bytes": 10, "in_flight_destinations": 1}
            worker_counters.tell(conn, "one", {**gauges, "event_loop_lag_s": 0.5})
            worker_counters.tell(conn, "two", {**gauges, "event_loop_lag_s": 0.25})
            worker_counters.add(conn, "one", {"attempts:delivered": 3, "database_us:write": 2_500_000})
        figures = read(http)

    assert value(figures, "broadcast_worker_open_sends") == 4
    assert value(figures, "broadcast_worker_open_bytes") == 20
    assert value(figures, "broadcast_worker_in_flight_destinations") == 2
    assert value(figures, "broadcast_worker_event_loop_lag_seconds") == 0.5
    assert value(figures, "broadcast_attempts_total", verdict="delivered") == 3
    assert value(figures, "broadcast_worker_database_seconds_total", kind="write") == 2.5


def test_without_a_database_it_says_so_and_tells_the_rest(http: Api) -> None:
    http.call("POST", "/api/v1/receipts", key=http.api_key, body=document("one"))
    gone = Store.open("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    figures = parsed(scrape.text(gone, http.services.meters).decode())
    gone.close()

    assert value(figures, "broadcast_database_up") == 0
    assert value(figures, "broadcast_receipts_total", result="accepted") == 1
