"""Ready-made views: downloaded from the page of a destination that has some."""

import json

import pytest

from tests.receiver import Receiver
from tests.web.pages.conftest import Pages, member
from tests.web.pages.test_pages import add_collector


@pytest.fixture
def path(pages: Pages) -> str:
    pages.post("/settings/observability/switch", {"enabled": "on"})
    with Receiver() as receiver:
        return add_collector(pages, receiver.url("/ok"))


def test_the_page_offers_each_view_with_its_use(pages: Pages, path: str) -> None:
    page = pages.get(path)
    assert "Ready-made views" in page
    for file in ("grafana-dashboard.json", "grafana-alerts.json"):
        assert f'formaction="{pages.at(path)}/views/{file}"' in page


def test_a_view_is_a_file_with_the_data_source_that_was_named(pages: Pages, path: str) -> None:
    answer = pages.client.get(pages.at(f"{path}/views/grafana-dashboard.json?source=+my-tempo+"))
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="grafana-dashboard.json"'
    assert "__inputs" not in json.loads(answer.text)
    assert '"my-tempo"' in answer.text
    assert 'resource.service.name = \\"openrouter\\"' in answer.text


def test_whoever_may_look_may_download(pages: Pages, path: str) -> None:
    viewer = member(pages, "viewer")
    assert "__inputs" in viewer.get(f"{path}/views/grafana-dashboard.json")


def test_a_wrong_data_source_is_said_on_the_page(pages: Pages, path: str) -> None:
    answer = pages.client.get(pages.at(f"{path}/views/grafana-alerts.json?source=%22%3E%3Cb%3E"))
    assert answer.status_code == 422
    assert "Enter a data source&#39;s UID" in answer.text
    assert "<b>" not in answer.text


def test_a_view_that_is_none_of_its_own_does_not_exist(pages: Pages, path: str) -> None:
    for file in ("honeycomb-board.sh", "other.json", "..%2Fgrafana.py"):
        assert pages.client.get(pages.at(f"{path}/views/{file}")).status_code == 404
