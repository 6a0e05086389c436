"""The form of a destination by plain posts, as a browser without a script sends them."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from broadcast.runtime import Services
from broadcast.store import destinations
from broadcast.store.destinations import StoredDestination
from broadcast.store.users import User
from destinations import TYPES
from tests.receiver import Receiver
from tests.web.pages.conftest import PASSWORD, Pages, log_in, member
from tests.web.pages.test_pages import assert_well_made
from web.forms import GROUPS

ADD = "/settings/observability/add/otel-collector"
SECRET = "Bearer very-secret-token-1234567890"
FETCH = {"X-Requested-With": "fetch"}


@pytest.fixture(scope="module")
def owner(app: Flask, services: Services) -> tuple[User, FlaskClient]:
    """One person for the whole file: hashing a password takes longer than most tests."""
    email = "forms@example.com"
    user = services.accounts.create_user(email=email, password=PASSWORD, now_us=services.clock())
    return user, log_in(app, email)


@pytest.fixture
def pages(app: Flask, services: Services, owner: tuple[User, FlaskClient]) -> Pages:
    """A fresh workspace whose owner is looking."""
    user, client = owner
    workspace = services.accounts.create_workspace(name="Checkout", owner=user, now_us=services.clock())
    return Pages(app=app, services=services, workspace=workspace, client=client)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def values(receiver: Receiver, path: str = "/ok", **more: Any) -> dict[str, Any]:
    """Return what the collector's form holds; `_` in a name stands for `-`."""
    given = {"name": "Collector", "config-endpoint": receiver.url(path), "privacy_level": "metadata"}
    return {**given, "sampling_percent": "100", "enabled": "on", **more}


def with_header(posted: dict[str, Any], name: str = "Authorization", value: str = SECRET) -> dict[str, Any]:
    return {
        **posted,
        "config-headers": "rows",
        "config-headers-name": [name],
        "config-headers-value": [value],
    }


def fingerprint(answer: TestResponse) -> dict[str, str]:
    """Return what the panel of a passed test adds to the form."""
    names = r'name="(fingerprint|tested-headers)" value="([^"]*)" form="destination-form"'
    found = dict(re.findall(names, answer.text))
    assert "fingerprint" in found, words(answer)
    return found


def saved(pages: Pages, posted: dict[str, Any]) -> StoredDestination:
    """Test and save a new collector."""
    passed = fingerprint(pages.post(f"{ADD}/test", posted))
    concealed = {**posted, **({"config-headers-value": [""]} if "config-headers" in posted else {})}
    answer = pages.post(ADD, {**concealed, **passed})
    assert answer.status_code == 303, words(answer)
    return stored(pages)


def stored(pages: Pages) -> StoredDestination:
    return pages.services.connections.overview(pages.workspace)[-1].stored


def edit_path(found: StoredDestination) -> str:
    return f"/settings/observability/{found.uid}/edit"


def words(answer: TestResponse) -> str:
    """Return what a page says, without its tags."""
    main = answer.text.partition("<main")[2] or answer.text
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def field(answer: TestResponse, name: str) -> str:
    """Return the markup of one field, to see what stands under it."""
    return answer.text.partition(f'data-field="{name}"')[2].partition("data-field=")[0]


def facts(answer: TestResponse) -> list[tuple[str, str, str]]:
    proofs = answer.text.partition('class="proofs"')[2].partition("</ul>")[0]
    return [
        (label, fact, html.unescape(said))
        for label, fact, said in re.findall(
            r'medium">([^<]+)</span><span class="\w+">([^<]+)</span>(?:<small>([^<]*)</small>)?', proofs
        )
    ]


# -- the page ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", sorted(TYPES))
def test_every_type_has_a_well_made_form(pages: Pages, slug: str) -> None:
    page = pages.get(f"/settings/observability/add/{slug}")
    assert_well_made(page)
    for spec in TYPES[slug].specs():
        assert f'data-field="config-{spec.outside}"' in page
    assert "No rules: every receipt is sent." in page


@pytest.mark.parametrize("slug", sorted(TYPES))
def test_an_empty_form_names_what_is_missing_and_goes_to_the_first(pages: Pages, slug: str) -> None:
    answer = pages.post(f"/settings/observability/add/{slug}", {})
    assert answer.status_code == 422
    assert "Enter a name." in words(answer)
    assert answer.text.count(" autofocus") == 1
    assert " autofocus" in field(answer, "name")
    assert_well_made(answer.text)


@pytest.mark.parametrize("slug", sorted(TYPES))
def test_the_statement_of_a_table_is_on_the_page_of_its_type(pages: Pages, slug: str) -> None:
    page = pages.get(f"/settings/observability/add/{slug}")
    assert ("<h2>The table</h2>" in page) is bool(TYPES[slug].sql)
    assert TYPES[slug].sql in html.unescape(page)


def test_regions_are_offered_by_name_and_address(pages: Pages) -> None:
    page = pages.get("/settings/observability/add/langfuse")
    assert '<option value="https://jp.cloud.langfuse.com">JP</option>' in page
    assert 'list="field-config-baseUrl-known"' in page


def test_enter_in_a_field_tests_and_never_removes_a_row(pages: Pages) -> None:
    page = pages.get(ADD)
    form = page.partition('id="destination-form"')[2]
    first = re.search(r"<button[^>]*>", form)
    assert first
    assert f'formaction="{pages.at(ADD)}/test"' in first.group()


# -- the test's panel --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected", "under"),
    [
        ("/ok", ("yes", "yes", "yes"), None),
        ("/status/401", ("yes", "no", "not tried"), "config-headers"),
        ("/status/403", ("yes", "no", "not tried"), "config-headers"),
        ("/status/404", ("yes", "not tried", "no"), "config-endpoint"),
        ("/status/413", ("yes", "yes", "no"), None),
        ("/html", ("yes", "not tried", "no"), "config-endpoint"),
        ("/partial/1", ("yes", "yes", "no"), None),
        ("/reset", ("yes", "not tried", "not tried"), None),
    ],
)
def test_the_panel_shows_three_facts_with_evidence(
    pages: Pages, receiver: Receiver, path: str, expected: tuple[str, ...], under: str | None
) -> None:
    answer = pages.post(f"{ADD}/test", values(receiver, path))
    title = "Test passed" if path == "/ok" else "Test failed"
    assert title in answer.text
    shown = facts(answer)
    assert [label for label, _, _ in shown] == ["Reachable", "Credential accepted", "Data accepted"]
    assert tuple(fact for _, fact, _ in shown) == expected
    assert all(said for _, _, said in shown)
    assert ("What to do" in answer.text) is (title == "Test failed")
    wrong = re.findall(r'is-wrong" data-field="([^"]+)"', answer.text)
    assert wrong == ([under] if under else [])


@pytest.mark.parametrize(
    ("endpoint", "evidence"),
    [
        ("http://169.254.169.254/v1/traces", "169.254.169.254: this server does not send there"),
        ("https://nowhere.onion/v1/traces", "nowhere.onion: no address for this name"),
        ("http://127.0.0.1:9/v1/traces", "127.0.0.1: no connection"),
    ],
)
def test_a_place_out_of_reach_is_named_under_its_address(
    pages: Pages, receiver: Receiver, endpoint: str, evidence: str
) -> None:
    answer = pages.post(f"{ADD}/test", {**values(receiver), "config-endpoint": endpoint})
    assert facts(answer)[0] == ("Reachable", "no", evidence)
    assert 'class="error"' in field(answer, "config-endpoint")


def test_an_untrusted_certificate_is_named(pages: Pages) -> None:
    with Receiver(tls=True) as strange:
        answer = pages.post(f"{ADD}/test", values(strange))
    assert "certificate is not accepted" in facts(answer)[0][2]
    assert "The certificate must be valid for this host" in words(answer)


def test_the_answer_is_shown_as_text_masked_and_short(pages: Pages, receiver: Receiver) -> None:
    receiver.answer("/leak", status=400, body=f"<b>no</b> {SECRET} " + "x" * 1000)
    answer = pages.post(f"{ADD}/test", with_header(values(receiver, "/leak")))
    shown = re.search(r"<pre>(.*?)</pre>", answer.text, re.DOTALL)
    assert shown
    text = html.unescape(shown.group(1))
    assert text.startswith("<b>no</b> [secret] xxx")
    assert len(text) <= 300
    assert "very-secret" not in answer.text


def test_a_script_gets_the_panel_alone(pages: Pages, receiver: Receiver) -> None:
    answer = pages.post(f"{ADD}/test", values(receiver, "/status/404"), headers=FETCH)
    assert "<html" not in answer.text
    assert 'data-wrong="endpoint"' in answer.text


def test_too_many_tests_are_said_and_the_form_stays(pages: Pages, receiver: Receiver) -> None:
    for _ in range(30):
        with pages.services.accounts.testing(pages.workspace.id, pages.services.clock()):
            pass
    answer = pages.post(f"{ADD}/test", values(receiver))
    assert "Too many connection tests" in words(answer)
    assert 'value="Collector"' in answer.text


# -- save --------------------------------------------------------------------------------------------


def test_a_wrong_value_is_named_at_its_field_and_nothing_is_sent(pages: Pages, receiver: Receiver) -> None:
    posted = {**values(receiver), "config-endpoint": "the collector"}
    for path in (f"{ADD}/test", ADD):
        assert "Enter a full address" in field(pages.post(path, posted), "config-endpoint")
    assert receiver.requests == []


def test_a_secret_typed_after_the_test_is_tested_before_it_is_saved(pages: Pages, receiver: Receiver) -> None:
    posted = with_header(values(receiver))
    passed = fingerprint(pages.post(f"{ADD}/test", posted))
    receiver.clear()
    other = with_header(values(receiver), value="Bearer another-token")
    assert pages.post(ADD, {**other, **passed}).status_code == 303
    assert [seen.headers["authorization"] for seen in receiver.requests] == ["Bearer another-token"]


def test_a_header_renamed_after_the_test_does_not_save_the_tested_one(
    pages: Pages, receiver: Receiver
) -> None:
    passed = fingerprint(pages.post(f"{ADD}/test", with_header(values(receiver))))
    renamed = with_header(values(receiver), name="X-Other", value="")
    answer = pages.post(ADD, {**renamed, **passed})
    assert answer.status_code == 422
    assert "The passed test no longer counts" in field(answer, "config-headers")


def test_a_taken_name_is_said_under_the_name(pages: Pages, receiver: Receiver) -> None:
    saved(pages, values(receiver))
    posted = values(receiver, "/second")
    answer = pages.post(ADD, {**posted, **fingerprint(pages.post(f"{ADD}/test", posted))})
    assert answer.status_code == 409
    assert "A destination with this name exists." in field(answer, "name")


def test_a_stale_form_says_when_and_does_not_overwrite(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, values(receiver))
    shown = re.search(r'name="version" value="(\d+)"', pages.get(edit_path(found)))
    assert shown
    mine = {**values(receiver), "version": shown.group(1)}
    assert pages.post(edit_path(found), {**mine, "name": "Theirs"}).status_code == 303

    answer = pages.post(edit_path(found), {**mine, "name": "Mine"})

    assert answer.status_code == 409
    assert re.search(r"These settings changed at \d\d:\d\d:\d\d\. Reload", words(answer))
    assert f'name="version" value="{shown.group(1)}"' in answer.text
    assert re.search(r'id="save-button"[^>]* disabled', answer.text)
    assert pages.post(edit_path(found), {**mine, "name": "Mine"}).status_code == 409
    assert stored(pages).name == "Theirs"


def test_a_changed_address_asks_for_the_secret_before_anything_is_dialled(
    pages: Pages, receiver: Receiver
) -> None:
    found = saved(pages, with_header(values(receiver)))
    with Receiver() as thief:
        moved = with_header(values(receiver), value="") | {"config-endpoint": thief.url("/ok")}
        for path in (f"{edit_path(found)}/test", edit_path(found)):
            answer = pages.post(path, moved)
            shown = "Address changed: enter the values of the headers again."
            assert shown in field(answer, "config-headers")
        assert thief.connections == 0


def test_secrets_that_cannot_be_opened_are_asked_for_again(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, with_header(values(receiver)))
    with pages.services.store.write() as conn:
        destinations.reseal(conn, found.id, found.version, b"sealed with a key that is lost")
    answer = pages.post(f"{edit_path(found)}/test", with_header(values(receiver), value=""))
    assert "What is stored cannot be opened: enter the values of the headers again." in field(
        answer, "config-headers"
    )
    assert "Test passed" in pages.post(f"{edit_path(found)}/test", with_header(values(receiver))).text


# -- on and off --------------------------------------------------------------------------------------


def test_it_can_be_saved_off_and_switched_on_by_a_test(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, {**values(receiver), "enabled": "off"})
    assert found.enabled is False
    page = pages.get(edit_path(found))
    assert "Switching on runs the live test" in page
    receiver.clear()
    answer = pages.post(edit_path(found), {**values(receiver), "enabled": ["off", "on"]})
    assert answer.status_code == 303
    assert [span.name for span in receiver.spans()] == ["broadcast-connection-test"]
    assert stored(pages).enabled is True


def test_switching_on_is_refused_when_its_test_fails(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, {**values(receiver, "/later"), "enabled": "off"})
    receiver.answer("/later", status=401)
    answer = pages.post(edit_path(found), values(receiver, "/later"))
    assert answer.status_code == 422
    assert "Test failed" in answer.text
    assert stored(pages).enabled is False


def test_switching_off_needs_no_test(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, values(receiver))
    receiver.clear()
    assert pages.post(edit_path(found), {**values(receiver), "enabled": "off"}).status_code == 303
    assert receiver.requests == []
    assert stored(pages).enabled is False


# -- headers -----------------------------------------------------------------------------------------


def test_a_press_adds_a_header_row_and_saves_nothing(pages: Pages, receiver: Receiver) -> None:
    posted = with_header(values(receiver))
    answer = pages.post(f"{ADD}/rows", {**posted, "do": "add-header"})
    assert answer.status_code == 200
    assert_well_made(answer.text)
    assert 'aria-label="Header 2 name"' in answer.text
    assert 'value="Authorization"' in answer.text
    assert "very-secret" not in answer.text
    assert "Secrets do not come back to a page: enter them again." in words(answer)
    assert pages.services.connections.overview(pages.workspace) == []


def test_a_press_removes_a_header_row(pages: Pages, receiver: Receiver) -> None:
    answer = pages.post(f"{ADD}/rows", {**with_header(values(receiver)), "do": "remove-header-0"})
    assert 'value="Authorization"' not in answer.text


def test_stored_headers_show_a_mask_and_one_can_be_replaced_alone(pages: Pages, receiver: Receiver) -> None:
    found = saved(
        pages,
        {
            **values(receiver),
            "config-headers": "rows",
            "config-headers-name": ["Authorization", "X-Team"],
            "config-headers-value": [SECRET, "search"],
        },
    )
    assert set(found.masks["headers"]) == {"Authorization", "X-Team"}
    page = pages.get(edit_path(found))
    assert "Bear…7890" in page
    receiver.clear()
    tested = pages.post(
        f"{edit_path(found)}/test",
        {
            **values(receiver),
            "config-headers": "rows",
            "config-headers-name": ["Authorization", "X-Team"],
            "config-headers-value": ["", "ads"],
        },
    )
    assert "Test passed" in tested.text
    seen = receiver.requests[0].headers
    assert (seen["authorization"], seen["x-team"]) == (SECRET, "ads")


# -- filter rules ------------------------------------------------------------------------------------


def rule(group: int, row: int, field: str, operator: str, value: str = "") -> dict[str, str]:
    at = f"rule-{group}-{row}"
    return {"rules": "rows", f"{at}-field": field, f"{at}-operator": operator, f"{at}-value": value}


def test_rules_are_added_row_by_row_and_saved_as_the_api_has_them(pages: Pages, receiver: Receiver) -> None:
    rules = {
        **rule(0, 0, "model", "starts_with", "anthropic/"),
        **rule(0, 1, "total_cost", "gte", "0.001"),
        "group-0-logic": "or",
        **rule(4, 7, "session_id", "exists", "ignored"),
    }
    found = saved(pages, {**values(receiver), **rules})
    assert found.filter_rules == {
        "enabled": True,
        "groups": [
            {
                "logic": "or",
                "rules": [
                    {"field": "model", "operator": "starts_with", "value": "anthropic/"},
                    {"field": "total_cost", "operator": "gte", "value": 0.001},
                ],
            },
            {"logic": "and", "rules": [{"field": "session_id", "operator": "exists"}]},
        ],
    }
    page = pages.get(edit_path(found))
    assert_well_made(page)
    assert 'value="anthropic/"' in page
    assert 'value="0.001"' in page


def test_presses_add_and_remove_rules_and_groups(pages: Pages, receiver: Receiver) -> None:
    posted = {**values(receiver), "rules": "rows"}
    first = pages.post(f"{ADD}/rows", {**posted, "do": "add-group"})
    assert_well_made(first.text)
    assert 'name="rule-0-0-value"' in first.text
    one = {**posted, **rule(0, 0, "provider", "equals", "OpenAI")}
    second = pages.post(f"{ADD}/rows", {**one, "do": "add-rule-0"})
    assert_well_made(second.text)
    assert 'name="rule-0-1-value"' in second.text
    assert 'value="OpenAI"' in second.text
    assert (
        "No rules: every receipt is sent." in pages.post(f"{ADD}/rows", {**one, "do": "remove-rule-0-0"}).text
    )


@pytest.mark.parametrize(
    "press", ["add-rule-9", "remove-rule-9-9", "remove-rule-0", "", "drop table", "add-rule-"]
)
def test_a_press_that_no_button_says_changes_nothing(pages: Pages, receiver: Receiver, press: str) -> None:
    posted = {**values(receiver), **rule(0, 0, "provider", "equals", "OpenAI"), "do": press}
    answer = pages.post(f"{ADD}/rows", posted)
    assert answer.status_code == 200
    assert answer.text.count('-value" value="OpenAI"') == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("total_cost", "gt", "much"), "Enter a number."),
        (("model", "gte", "3"), "“at least” compares numbers, and Model is text."),
        (("model", "regex", "(a"), "This is not a regular expression that can be read."),
        (("model", "regex", r"(a)\1"), "Leave out back-references and look-arounds."),
        (("model", "equals", " "), "Enter a value, or remove this rule."),
    ],
)
def test_a_wrong_rule_is_named_at_the_rule(
    pages: Pages, receiver: Receiver, wrong: tuple[str, str, str], said: str
) -> None:
    rules = {**rule(0, 0, "model", "exists"), **rule(0, 1, *wrong)}
    answer = pages.post(ADD, {**values(receiver), **rules})
    assert answer.status_code == 422
    assert_well_made(answer.text)
    assert html.escape(said, quote=False) in answer.text.partition('id="rule-0-1-error"')[2][:800]
    assert 'id="rule-0-0-error"' not in answer.text
    assert len(re.findall(r"<input[^>]* autofocus", answer.text)) == 1


def test_rules_can_be_kept_without_being_used(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, {**values(receiver), **rule(0, 0, "model", "exists"), "rules-off": "on"})
    assert found.filter_rules is not None
    assert found.filter_rules["enabled"] is False
    assert 'name="rules-off" value="on" checked' in pages.get(edit_path(found))


def test_a_rule_about_content_says_when_it_can_hold(pages: Pages, receiver: Receiver) -> None:
    posted = {**values(receiver), **rule(0, 0, "input", "contains", "refund"), "do": "add-rule-0"}
    said = "Rules on input or output text hold only where content is kept."
    assert said in words(pages.post(f"{ADD}/rows", posted))
    assert said not in words(pages.post(f"{ADD}/rows", {**posted, "privacy_level": "full"}))


def test_a_script_gets_the_rules_alone(pages: Pages, receiver: Receiver) -> None:
    answer = pages.post(
        f"{ADD}/rows", {**values(receiver), "rules": "rows", "do": "add-group"}, headers=FETCH
    )
    assert "<html" not in answer.text
    assert 'name="rule-0-0-field"' in answer.text


# -- what is sent ------------------------------------------------------------------------------------


def test_keys_groups_share_and_level_are_saved_without_a_test(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, values(receiver))
    _, key = pages.services.accounts.make_key(
        workspace_id=pages.workspace.id,
        user_id=1,
        kind="api",
        name="load-test",
        now_us=pages.services.clock(),
    )
    receiver.clear()
    changed = {
        **values(receiver),
        "privacy_level": "full",
        "sampling_percent": "12.5",
        "excluded_api_key_hashes": key.hash,
        "broadcast_generation_cost": ["off", "on"],
        "broadcast_generation_identity": "off",
        "version": str(found.version),
    }
    assert pages.post(edit_path(found), changed).status_code == 303
    after = stored(pages)
    assert (after.privacy_level, after.sampling_rate) == ("full", 0.125)
    assert (after.api_key_hashes, after.excluded_api_key_hashes) == (None, (key.hash,))
    assert (after.broadcast_generation_cost, after.broadcast_generation_identity) == (True, False)
    assert receiver.requests == []
    page = pages.get(edit_path(found))
    assert "load-test" in page
    assert re.search(r'id="broadcast_generation_cost"[^>]* checked', page)


def test_regions_are_ticked_kept_on_edit_and_never_all_taken_away(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, {**values(receiver), "regions": ["", "europe", "us"]})
    assert found.regions == ("europe", "us")
    page = pages.get(edit_path(found))
    assert [ticked(page, f"regions-{region}") for region in ("global", "europe", "us")] == [False, True, True]

    none = pages.post(edit_path(found), {**values(receiver), "regions": ""})
    assert none.status_code == 422
    assert_well_made(none.text)
    assert "Tick one region at least." in words(none)
    assert stored(pages).regions == ("europe", "us")


def test_every_group_is_kept_on_edit(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, {**values(receiver), **{name: ["off", "on"] for name, _, _ in GROUPS}})
    page = pages.get(edit_path(found))
    assert all(getattr(found, name) and ticked(page, name) for name, _, _ in GROUPS)


def ticked(page: str, element_id: str) -> bool:
    return re.search(rf'id="{element_id}"[^>]* checked', page) is not None


def test_each_rung_and_group_says_what_it_lets_out(pages: Pages) -> None:
    page = words(pages.client.get(pages.at(ADD)))
    for said in (
        "Metadata only Model, provider, tokens, cost",
        "Hashed content The same facts; messages, tool calls",
        "Redacted content Messages, tool calls, error texts",
        "Full content Also messages",
        "Cost What was charged",
        "Cost by kind of token Tokens and cost of input and of output",
        "Identity API key name and hash",
        "Request context API type",
        "Global Requests that are bound to no region.",
        "European Union Requests whose region is europe or eu.",
        "United States Requests whose region is us.",
    ):
        assert said in page


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_only_owner_and_admin_may(pages: Pages, role: str) -> None:
    other = member(pages, role)
    for path in (ADD, f"{ADD}/test", f"{ADD}/rows"):
        assert other.post(path, {"name": "x"}).status_code == 403
