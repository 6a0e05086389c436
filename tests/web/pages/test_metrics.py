"""Metrics on the page of a destination, and in its form."""

import re
from collections.abc import Iterator
from typing import get_args

import pytest

from broadcast.fields import MetricsEvery
from broadcast.series import OTHER, Series
from broadcast.store import metrics
from tests.broadcast.measuring import export_of
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def added(pages: Pages, receiver: Receiver, every: str = "60s") -> str:
    """Add a collector by its form, and return the path of its page."""
    pages.post("/settings/observability/switch", {"enabled": "on"})
    form = {
        "name": "Measured",
        "enabled": "on",
        "privacy_level": "metadata",
        "sampling_percent": "100",
        "config-endpoint": receiver.url("/ok"),
        "config-encoding": "json",
        "config-compression": "gzip",
        "config-metrics": every,
    }
    tested = pages.post("/settings/observability/add/otel-collector/test", form).text
    found = re.search(r'name="fingerprint" value="([^"]+)"', tested)
    assert found, tested
    saved = pages.post("/settings/observability/add/otel-collector", {**form, "fingerprint": found[1]})
    assert saved.status_code == 303, saved.text
    return str(saved.location).split(pages.at(""))[-1].partition("?")[0]


def test_the_form_offers_the_intervals_where_the_type_takes_metrics(pages: Pages) -> None:
    taker = pages.get("/settings/observability/add/otel-collector")
    select = taker.partition('name="config-metrics"')[2].partition("</select>")[0]
    assert tuple(re.findall(r'<option[^>]*value="([^"]+)"', select)) == get_args(MetricsEvery)
    assert ">Every 5 minutes</option>" in select
    assert "config-metrics" not in pages.get("/settings/observability/add/langfuse")


def test_the_page_says_how_metrics_are_doing(pages: Pages, receiver: Receiver) -> None:
    path = added(pages, receiver)
    page = pages.get(path)
    assert "Metrics" in page
    assert "never" in page.partition("Last sent")[2][:60]

    pages.send(id="gen-measured-1")
    export_of(pages.services)
    page = pages.get(path)
    assert "1 of 1,000" in page
    assert "is-bad" not in page.partition('id="metrics-title"')[2].partition("</section>")[0]


def test_the_page_says_what_was_not_taken(pages: Pages, receiver: Receiver) -> None:
    path = added(pages, receiver)
    pages.send(id="gen-measured-2")
    receiver.answer("/ok/v1/metrics", status=404, body=b"<b>no</b>")
    export_of(pages.services)
    part = pages.get(path).partition('id="metrics-title"')[2].partition("</section>")[0]
    assert "404 Not Found: &lt;b&gt;no&lt;/b&gt;" in part
    assert "Nothing is lost" in part


def test_the_page_says_what_the_cap_left_without_a_series(pages: Pages, receiver: Receiver) -> None:
    path = added(pages, receiver)
    uid = path.rpartition("/")[2]
    stored = pages.services.connections.get(pages.workspace, uid)
    with pages.services.store.write() as conn:
        metrics.put(conn, stored.id, [Series(labels=OTHER, requests=7)])
    page = pages.get(path)
    assert "7 requests with other labels are counted together" in page


def test_while_metrics_are_off_there_is_no_such_part(pages: Pages, receiver: Receiver) -> None:
    assert "metrics-title" not in pages.get(added(pages, receiver, "off"))
