"""What is said of metrics: the API, `broadcast status`, and the settings file."""

from typing import Any

import pytest

from broadcast import metric_status
from broadcast.series import OTHER, Series
from broadcast.store import metrics
from tests.broadcast.cli_shell import Shell, local, remote, shell
from tests.broadcast.measuring import export_of

__all__ = ("local", "remote", "shell")


def measured(shell: Shell, every: str = "60s") -> dict[str, Any]:
    """Make a destination whose metrics are on, and send it two requests."""
    shell.api("PATCH", "/broadcast", {"enabled": True})
    config = {"endpoint": shell.receiver.url("/ok"), "metrics": every}
    made = shell.connect(config=config)
    shell.post({}, {"model": "other/model"})
    return made


def of_api(shell: Shell, made: dict[str, Any]) -> Any:
    return shell.api("GET", f"/observability/destinations/{made['id']}")["data"]["metrics"]


def test_the_api_says_how_many_series_there_are_and_when_they_were_sent(local: Shell) -> None:
    made = measured(local)
    before = of_api(local, made)
    assert (before["series"], before["counted_to"], before["last_sent_at"]) == (0, 0, None)

    export_of(local.services)

    found = of_api(local, made)
    assert (found["every_s"], found["series"], found["series_limit"]) == (60, 2, 1_000)
    assert (found["counted_to"], found["other_requests"], found["last_error"]) == (2, 0, None)
    assert found["since"] <= found["last_sent_at"] < found["next_at"]


def test_where_they_are_off_there_is_nothing_to_say(local: Shell) -> None:
    made = measured(local, "off")
    assert of_api(local, made) is None
    assert local.said("status")["data"][0]["metrics"] is None


def test_status_is_the_same_in_each_place(local: Shell) -> None:
    made = measured(local)
    export_of(local.services)
    told = of_api(local, made)
    assert local.said("status")["data"][0]["metrics"] == told
    assert local.api("GET", "/observability/status")["data"][0]["metrics"] == told


def test_status_names_the_cardinality(local: Shell) -> None:
    measured(local)
    assert "metrics every 60 s, not sent yet: 0 of 1,000 series" in local.run("status").stdout
    export_of(local.services)
    (line,) = (line for line in local.run("status").stdout.splitlines() if "metrics" in line)
    assert line.startswith("team/Collector: metrics every 60 s, last sent ")
    assert line.endswith(" UTC: 2 of 1,000 series")


@pytest.mark.parametrize(("count", "words"), [(1, "1 request with"), (1_234, "1,234 requests with")])
def test_status_says_what_the_cap_left_without_a_series(local: Shell, count: int, words: str) -> None:
    measured(local)
    export_of(local.services)
    with local.services.store.write() as conn:
        (place,) = metrics.due(conn, 2**62, 1)
        metrics.put(conn, place.destination_id, [Series(labels=OTHER, requests=count)])
    stdout = local.run("status").stdout
    assert f"2 of 1,000 series; {words} other labels " in stdout
    assert "counted together, in the series marked otel.metric.overflow" in stdout


def test_status_says_what_went_wrong_until_they_are_sent(local: Shell) -> None:
    made = measured(local)
    local.receiver.answer("/ok/v1/metrics", status=404, times=1)
    export_of(local.services)

    error = of_api(local, made)["last_error"]
    assert (error["status_code"], error["reason"]) == (404, "404 Not Found: {}")
    assert "metrics not taken " in local.run("status").stdout

    with local.services.store.write() as conn:
        conn.exec_driver_sql("UPDATE metric_places SET due_at_us = 0")
    export_of(local.services)
    assert "metrics not taken " not in local.run("status").stdout
    assert of_api(local, made)["last_error"] == error, "the API keeps it, with its time"


def test_the_words_are_made_of_the_answer_of_the_api() -> None:
    view = {"series": 1_000, "series_limit": 1_000, "other_requests": 0}
    assert metric_status.cardinality(view) == "1,000 of 1,000 series"


def test_a_settings_file_says_the_interval_and_reads_back(local: Shell) -> None:
    measured(local, "5m")
    written = local.run("export").stdout
    assert "metrics: 5m" in written
