"""What would be sent, seen on the page: before anything is saved, and at any time after."""

from typing import Any

import pytest

from broadcast import privacy
from broadcast.store import destinations
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages, member
from tests.web.pages.test_destination_form import (
    ADD,
    FETCH,
    SECRET,
    edit_path,
    owner,
    pages,
    receiver,
    rule,
    saved,
    values,
    with_header,
    words,
)
from tests.web.pages.test_pages import assert_well_made

__all__ = ["owner", "pages", "receiver"]
ALICE = "alice@example.com"
NEW = f"{ADD}/preview"


def routed(pages: Pages, receiver: Receiver, **fields: Any) -> str:
    """Keep a receipt with content, which some destination has to be owed."""
    if not pages.services.connections.overview(pages.workspace):
        saved(pages, {**values(receiver), "name": "Keeps content", "privacy_level": "full"})
        pages.services.connections.set_broadcast(
            pages.workspace, None, enabled=True, now_us=pages.services.clock()
        )
    return pages.send(**{"user": ALICE, "input": f"Ask {ALICE}", "output": "Done", **fields})


@pytest.mark.parametrize(
    ("level", "said", "shown"),
    [
        ("metadata", "Messages, completions and tool calls are withheld.", {ALICE}),
        ("hashed", "are keyed hashes of this workspace.", {"hash-"}),
        ("redacted", "Replaced: 2 e-mail addresses.", {"Ask [email]"}),
        ("full", "Nothing is withheld.", {f"Ask {ALICE}"}),
    ],
)
def test_each_level_shows_what_it_lets_out(
    pages: Pages, receiver: Receiver, level: str, said: str, shown: set[str]
) -> None:
    routed(pages, receiver)
    receiver.clear()

    page = words(pages.post(NEW, {**values(receiver), "privacy_level": level}))

    assert said in page
    assert all(text in page for text in shown)
    assert (f"Ask {ALICE}" in page) is (level == "full")
    assert (ALICE in page) is (level in {"metadata", "full"})
    assert receiver.requests == []


def test_every_level_is_tried() -> None:
    tried = test_each_level_shows_what_it_lets_out.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert tuple(level for level, *_ in tried) == privacy.LEVELS


def test_nothing_has_to_be_entered_but_the_address(pages: Pages, receiver: Receiver) -> None:
    id_ = routed(pages, receiver)
    page = words(pages.post(NEW, {**values(receiver), "name": ""}))
    assert f"Receipt {id_} would be sent as one request" in page


def test_a_secret_is_shown_by_its_length_alone(pages: Pages, receiver: Receiver) -> None:
    routed(pages, receiver)
    answer = pages.post(NEW, with_header(values(receiver)))
    assert f"authorization: Bearer [secret, {len(SECRET) - len('Bearer ')} characters]" in words(answer)
    assert SECRET not in answer.text


def test_stored_secrets_are_used_where_none_is_entered(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, with_header(values(receiver)))
    routed(pages, receiver)
    answer = pages.post(f"{edit_path(found)}/preview", values(receiver))
    assert "[secret, " in words(answer)
    assert SECRET not in answer.text


def test_what_would_not_be_sent_says_why(pages: Pages, receiver: Receiver) -> None:
    routed(pages, receiver, trace={"team": "search"})
    posted = {**values(receiver), **rule(0, 0, "trace.", "equals", "other"), "rule-0-0-key": "team"}
    assert "would not be sent. Its keys, regions or filter rules leave this receipt out." in words(
        pages.post(NEW, posted)
    )
    assert "would be sent as one" in words(pages.post(NEW, {**posted, "rule-0-0-value": "search"}))


@pytest.mark.parametrize(
    ("group", "shown"),
    [
        ("broadcast_generation_cost", "openrouter_generation.usage"),
        ("broadcast_generation_cost_allocation", "openrouter_cost_allocation.input_cost"),
        ("broadcast_generation_identity", "openrouter_generation.external_user"),
        ("broadcast_generation_request_context", "openrouter_generation.api_type"),
    ],
)
def test_each_group_of_metadata_shows_what_it_adds(
    pages: Pages, receiver: Receiver, group: str, shown: str
) -> None:
    cost = {"total_usd": "0.03", "input_usd": "0.01", "output_usd": "0.02"}
    routed(pages, receiver, cost=cost, usage={"input_tokens": 10, "output_tokens": 20})
    assert shown not in words(pages.post(NEW, values(receiver)))
    assert shown in words(pages.post(NEW, {**values(receiver), group: ["off", "on"]}))


def test_a_request_of_a_region_is_previewed_where_the_region_is_ticked(
    pages: Pages, receiver: Receiver
) -> None:
    routed(pages, receiver, region="eu")
    assert "Its keys, regions or filter rules leave this receipt out." in words(
        pages.post(NEW, values(receiver))
    )
    assert "would be sent as one request" in words(
        pages.post(NEW, {**values(receiver), "regions": ["", "europe"]})
    )


def test_resource_attributes_and_own_patterns_are_in_it(pages: Pages, receiver: Receiver) -> None:
    routed(pages, receiver, input="EMP-1234 asks")
    posted = {
        **values(receiver),
        "privacy_level": "redacted",
        "redaction_patterns": "EMP-[0-9]+",
        "resource_attributes": "deployment.environment.name=staging",
    }
    page = words(pages.post(NEW, posted))
    assert "deployment.environment.name" in page
    assert "[redacted] asks" in page


def test_a_receipt_is_chosen_by_its_id(pages: Pages, receiver: Receiver) -> None:
    first = routed(pages, receiver)
    second = routed(pages, receiver, id="gen-second")
    assert f"Receipt {second} would" in words(pages.post(NEW, values(receiver)))
    assert f"Receipt {first} would" in words(pages.post(NEW, {**values(receiver), "receipt_id": first}))
    assert "no such receipt" in words(pages.post(NEW, {**values(receiver), "receipt_id": "gen-none"}))


def test_without_a_receipt_it_says_what_to_do(pages: Pages, receiver: Receiver) -> None:
    assert "Send one request first." in words(pages.post(NEW, values(receiver)))


def test_a_wrong_value_is_named_at_its_field(pages: Pages, receiver: Receiver) -> None:
    routed(pages, receiver)
    page = pages.post(NEW, {**values(receiver), "resource_attributes": "service.name=x"})
    assert "service.name is set by the router" in words(page)
    assert "would be sent as one" not in words(page)


def test_a_script_gets_the_preview_alone(pages: Pages, receiver: Receiver) -> None:
    routed(pages, receiver)
    answer = pages.post(NEW, values(receiver), headers=FETCH)
    assert "<html" not in answer.text
    assert "would be sent as one" in answer.text


def test_the_saved_settings_are_previewed_on_a_page_of_their_own(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, {**with_header(values(receiver)), "privacy_level": "redacted"})
    id_ = routed(pages, receiver)
    path = f"/settings/observability/{found.uid}/preview"

    page = pages.get(path)

    assert_well_made(page)
    assert "[email]" in page
    assert "[secret, " in page
    assert SECRET not in page
    assert id_ in pages.get(f"{path}?receipt_id={id_}")
    assert "no such receipt" in pages.get(f"{path}?receipt_id=gen-none")


def test_secrets_that_cannot_be_opened_are_named_before_and_after_they_are_saved(
    pages: Pages, receiver: Receiver
) -> None:
    found = saved(pages, with_header(values(receiver)))
    routed(pages, receiver)
    with pages.services.store.write() as conn:
        destinations.reseal(conn, found.id, found.version, b"sealed with a key that is lost")

    by_form = pages.post(f"{edit_path(found)}/preview", with_header(values(receiver), value=""))
    by_script = pages.post(
        f"{edit_path(found)}/preview", with_header(values(receiver), value=""), headers=FETCH
    )
    of_saved = pages.get(f"/settings/observability/{found.uid}/preview")

    assert by_form.status_code == by_script.status_code == 200
    for said in (words(by_form), words(by_script), of_saved):
        assert "The stored secret cannot be opened. Enter it again." in said


def test_only_who_manages_sees_a_preview(pages: Pages, receiver: Receiver) -> None:
    found = saved(pages, values(receiver))
    other = member(pages, "member")
    answer = other.client.get(pages.at(f"/settings/observability/{found.uid}/preview"))
    assert answer.status_code == 403
