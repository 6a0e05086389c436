import re
from html.parser import HTMLParser

import pytest

from broadcast.demo import receiver_token, receiver_url
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages, member

PATHS = (
    "/activity",
    "/receiver",
    "/settings/observability",
    "/settings/observability/add/otel-collector",
    "/settings/observability/add/grafana",
    "/settings/observability/add/langfuse",
    "/settings/observability/add/honeycomb",
    "/settings/observability/add/webhook",
    "/settings/keys",
    "/settings/workspace",
)


class Reader(HTMLParser):
    """What a page must not get wrong: ids, labels, forms, inline style and script."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.inputs: list[dict[str, str | None]] = []
        self.forms: list[dict[str, str | None]] = []
        self.tokens = 0
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "label" and found.get("for"):
            self.labelled.add(str(found["for"]))
        if tag in {"input", "select", "textarea"} and found.get("type") != "hidden":
            self.inputs.append(found)
        if tag == "form" and found.get("method") == "post":
            self.forms.append(found)
        self.tokens += tag == "input" and found.get("name") == "csrf_token"
        if "style" in found or any(name.startswith("on") for name in found):
            self.wrong.append(f"{tag} {found}")


def add_collector(pages: Pages, endpoint: str, name: str = "Collector") -> str:
    """Add a collector by test and save, and return its page's path below the workspace."""
    values = {
        "name": name,
        "config-endpoint": endpoint,
        "privacy_level": "metadata",
        "sampling_percent": "100",
    }
    tested = pages.post("/settings/observability/add/otel-collector/test", values)
    found = re.search(r'name="fingerprint" value="([0-9a-f]+)"', tested.text)
    assert found, tested.text
    saved = pages.post("/settings/observability/add/otel-collector", values | {"fingerprint": found.group(1)})
    assert saved.status_code == 303, saved.text
    return saved.location.removeprefix(f"/w/{pages.workspace.slug}")


def assert_well_made(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    assert len(reader.ids) == len(set(reader.ids)), [i for i in reader.ids if reader.ids.count(i) > 1]
    unnamed = [
        item for item in reader.inputs if not item.get("aria-label") and item.get("id") not in reader.labelled
    ]
    assert unnamed == []
    assert all(form.get("action") for form in reader.forms)
    assert reader.tokens >= len(reader.forms)
    assert reader.wrong == []
    title = re.search(r"<title>(.+?) · Broadcast</title>", page)
    heading = re.search(r"<h1[^>]*>(.+?)</h1>", page)
    assert title
    assert heading
    assert title.group(1) == heading.group(1)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_well_made(pages: Pages, path: str) -> None:
    assert_well_made(pages.get(path))


def test_the_first_page_shows_one_command(pages: Pages) -> None:
    page = pages.get("/activity")
    assert "Nothing has been routed yet" in page
    assert "/api/v1/chat/completions" in page


def test_a_request_is_listed_and_has_a_page(pages: Pages) -> None:
    id_ = pages.send()
    listed = pages.get("/activity")
    assert "openai/gpt-4o-mini" in listed
    assert "$0.000387" in listed
    page = pages.get(f"/activity/{id_}")
    assert_well_made(page)
    assert "Without prompt and completion" in page
    assert "resource.openrouter.trace.id" in page


def test_a_request_is_found_by_its_id(pages: Pages) -> None:
    id_ = pages.send()
    answer = pages.client.get(pages.at(f"/jump?id={id_}"))
    assert answer.location.endswith(f"/activity/{id_}")


def test_a_destination_is_saved_after_a_passed_test_of_exactly_these_values(pages: Pages) -> None:
    with Receiver() as receiver:
        path = add_collector(pages, receiver.url("/ok"))
        assert [span.name for span in receiver.spans()] == ["broadcast-connection-test"]
    page = pages.get(path)
    assert_well_made(page)
    assert "Balances" in page
    assert_well_made(pages.get(f"{path}/edit"))
    assert_well_made(pages.get(f"{path}/delete"))
    assert_well_made(pages.get("/settings/observability"))


def test_a_failed_test_is_named_and_save_is_refused(pages: Pages) -> None:
    values = {"name": "Collector", "privacy_level": "metadata", "sampling_percent": "100"}
    with Receiver() as receiver:
        values["config-endpoint"] = receiver.url("/status/401")
        tested = pages.post("/settings/observability/add/otel-collector/test", values)
        saved = pages.post("/settings/observability/add/otel-collector", values)
    assert "Test failed" in tested.text
    assert re.search(r'id="save-button"[^>]* disabled', tested.text)
    assert saved.status_code == 422
    assert "No destinations yet" in pages.get("/settings/observability")


def test_a_secret_never_comes_back_to_the_page(pages: Pages) -> None:
    secret = "Bearer very-secret-token-1234567890"
    values = {"name": "Collector", "privacy_level": "metadata", "sampling_percent": "100"}
    with Receiver() as receiver:
        values |= {"config-endpoint": receiver.url("/ok"), "config-headers": "rows"}
        values |= {"config-headers-name": "Authorization", "config-headers-value": secret}
        tested = pages.post("/settings/observability/add/otel-collector/test", values)
        found = re.search(r'name="fingerprint" value="([0-9a-f]+)"', tested.text)
        assert found
        again = values | {"fingerprint": found.group(1), "tested-headers": "Authorization"}
        again["config-headers-value"] = ""
        saved = pages.post("/settings/observability/add/otel-collector", again)
        assert saved.status_code == 303
        path = saved.location.removeprefix(f"/w/{pages.workspace.slug}")
        edit = pages.get(f"{path}/edit")
        changed = pages.post(
            f"{path}/edit/test",
            values | {"config-headers-value": "", "config-endpoint": receiver.url("/b")},
        )
    assert secret not in tested.text + edit
    assert "very-secret-token" not in tested.text + edit
    assert "Address changed" in changed.text


def test_pause_resume_and_delete(pages: Pages) -> None:
    with Receiver() as receiver:
        path = add_collector(pages, receiver.url("/ok"))
    pages.post("/settings/observability/switch", {"enabled": "on"})
    assert pages.post(f"{path}/pause").status_code == 303
    assert "Paused" in pages.get(path)
    assert pages.post(f"{path}/resume").status_code == 303
    assert pages.post(f"{path}/delete", {"name": "another"}).status_code == 422
    assert pages.post(f"{path}/delete", {"name": "Collector"}).status_code == 303
    assert "No destinations yet" in pages.get("/settings/observability")


def test_only_owner_and_admin_change_destinations(pages: Pages) -> None:
    reader = member(pages, "member")
    reader.get("/settings/observability")
    assert reader.post("/settings/observability/switch", {"enabled": "on"}).status_code == 403
    assert reader.client.get(reader.at("/settings/observability/add/webhook")).status_code == 403
    assert member(pages, "admin").post("/settings/observability/switch", {"enabled": "on"}).status_code == 303


def test_the_receiver_shows_what_arrived_with_types(pages: Pages) -> None:
    config = pages.services.config
    uid = pages.workspace.uid
    path = receiver_url(config, uid).partition(config.receiver_address)[2]
    span = {
        "traceId": "a" * 32, "spanId": "b" * 16, "name": "chat demo/echo", "kind": 3,
        "startTimeUnixNano": "1", "endTimeUnixNano": "2000000",
        "attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "38"}}],
    }  # fmt: skip
    body = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": [span]}]}]}
    client = pages.app.test_client()
    assert client.post(path, json=body).status_code == 401
    token = {"Authorization": f"Bearer {receiver_token(config, uid)}"}
    assert client.post(path, json=body, headers=token).status_code == 200
    assert client.post(path, json={"resourceSpans": [7]}, headers=token).status_code == 400
    page = pages.get("/receiver")
    assert_well_made(page)
    assert re.search(r"gen_ai.usage.input_tokens</td><td>int</td><td>38<", page)


def test_a_tested_header_is_saved_though_the_page_no_longer_holds_it(pages: Pages) -> None:
    rows = {"config-headers": "rows", "config-headers-name": "Authorization"}
    values = {"name": "Collector", "privacy_level": "metadata", "sampling_percent": "100"} | rows
    with Receiver(require=("authorization", "Bearer tested-value")) as receiver:
        values["config-endpoint"] = receiver.url("/ok")
        tested = pages.post(
            "/settings/observability/add/otel-collector/test",
            values | {"config-headers-value": "Bearer tested-value"},
        )
        found = re.search(r'name="fingerprint" value="([0-9a-f]+)"', tested.text)
        assert found, tested.text
        emptied = {
            "config-headers-value": "",
            "fingerprint": found.group(1),
            "tested-headers": "Authorization",
        }
        saved = pages.post("/settings/observability/add/otel-collector", values | emptied)
    assert saved.status_code == 303, saved.text
