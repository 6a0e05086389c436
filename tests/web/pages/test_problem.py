from dataclasses import replace

import pytest

from broadcast.ledger import State
from broadcast.shelf import Listed
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from destinations import TYPES
from web.pages.problem import Problem, answer_of, problem_of, spoken

NOW_US = 1_795_254_068_000_000
MINUTE_US = 60_000_000


def listed(reason: str, *, word: str = "paused", kind: str = "grafana", **changes: object) -> Listed:
    """Return a destination that an answer paused, or that fails, ten minutes behind."""
    stored = StoredDestination(
        id=1, uid="u", workspace_id=1, type=kind, name="Traces", enabled=True, config={},
        masks={"apiKey": "glc_…9fQa", "headers": {"authorization": "Bear…7f90"}},
        sealed=b"", address=(), version=1, privacy_level="full", sampling_rate=1.0, api_key_hashes=None,
        excluded_api_key_hashes=None, filter_rules=None, broadcast_generation_cost=False,
        broadcast_generation_identity=False, broadcast_generation_request_context=False,
        origin=str(changes.get("origin", "user")), paused_by="answer" if word == "paused" else None,
        pause_reason=reason, paused_at_us=NOW_US - 7 * MINUTE_US, created_at_us=0, updated_at_us=0,
    )  # fmt: skip
    cursor = Cursor(
        destination_id=1, workspace_id=1, since_seq=0, since_at_us=0, ended_seq=None, ended_at_us=None,
        cursor_seq=36, delivered=36, sampled_out=0, filtered=0, rejected=0, expired=0, due_at_us=0,
        failures=3, doubts=0, replay_id=None, lease_token=0, lease_holder=None, lease_until_us=0,
        last_attempt_at_us=NOW_US - MINUTE_US, last_verdict="refused", last_status_code=401,
        last_reason=reason, last_delivered_at_us=None,
    )  # fmt: skip
    state = State(
        word=word,  # type: ignore[arg-type]  # a word of the contract
        backlog=78,
        behind_s=float(changes.get("behind_s", 600)),  # type: ignore[arg-type]  # a number
        paused_by=stored.paused_by,
        reason=reason,
        next_try_at_us=NOW_US + MINUTE_US,
        held_until_us=NOW_US + 1000 * MINUTE_US,
    )
    return Listed(stored=stored, cursor=cursor, state=state)


def problem(found: Listed) -> Problem | None:
    return problem_of(
        found, TYPES[found.stored.type], retention_us=10**15, content_ttl_us=60 * MINUTE_US, now_us=NOW_US
    )


def required(found: Listed) -> Problem:
    made = problem(found)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("reason", "called", "said"),
    [
        ('401 Unauthorized: {"message":"unknown key"}', "401 Unauthorized", "unknown key"),
        ('401 Unauthorized: {"error":{"message":"No such key"}}', "401 Unauthorized", "No such key"),
        ('403 Forbidden: {"errors":[{"detail":"scope"}]}', "403 Forbidden", "scope"),
        ('400 Bad Request: {"code":3,"message":"cut off here', "400 Bad Request", "cut off here"),
        ("404 Not Found: 404 page not found", "404 Not Found", "404 page not found"),
        ("502 Bad Gateway: <html><body>Bad  gateway</body></html>", "502 Bad Gateway", "Bad gateway"),
        ("503 Service Unavailable: {}", "503 Service Unavailable", ""),
        ("429 Too Many Requests", "429 Too Many Requests", ""),
        ("No answer within 15 s.", "No answer within 15 s", ""),
        ("", "", ""),
    ],
)
def test_a_reason_is_taken_apart_into_status_and_the_destinations_words(
    reason: str, called: str, said: str
) -> None:
    answer = answer_of(reason)
    assert (answer.called, answer.said) == (called, said)


def test_a_web_page_is_called_one_and_not_quoted() -> None:
    answer = answer_of("200 OK, but the answer is a web page: check the address: <title>x")
    assert answer.called == "200 OK with a web page"
    assert answer.said == ""


def test_long_words_are_cut_before_they_fill_the_page() -> None:
    assert len(answer_of("400 Bad Request: " + "word " * 200).said) == 240


def test_beside_its_status_a_reason_is_only_the_words() -> None:
    assert spoken('400 Bad Request: {"message":"too old"}') == "“too old”"
    assert spoken("400 Bad Request") == "400 Bad Request"


def test_a_refused_key_leads_to_the_secret_with_the_types_own_hint() -> None:
    found = required(listed("401 Unauthorized: invalid token"))
    assert found.to_do == TYPES["grafana"].hints[401]
    assert (found.action, found.field) == ("Replace API key", "apiKey")
    assert found.goes_on_seq == 37


@pytest.mark.parametrize(
    ("reason", "action", "field"),
    [
        ("404 Not Found", "Change base URL", "baseUrl"),
        ("301 Moved Permanently", "Change base URL", "baseUrl"),
        ("410 Gone", "Change base URL", "baseUrl"),
        ("This address is not allowed.", "Change base URL", "baseUrl"),
        ("The stored secret cannot be opened.", "Replace API key", "apiKey"),
        ("415 Unsupported Media Type", "Edit the settings", None),
    ],
)
def test_the_button_leads_to_the_setting_that_has_to_change(
    reason: str, action: str, field: str | None
) -> None:
    found = required(listed(reason))
    assert (found.action, found.field) == (action, field)
    assert found.to_do.endswith(".")


def test_where_headers_are_the_credential_they_are_what_to_replace() -> None:
    found = required(listed("401 Unauthorized", kind="otel-collector"))
    assert (found.action, found.field) == ("Replace headers", "headers")


def test_a_secret_that_was_never_there_is_entered_and_not_replaced() -> None:
    assert required(listed("401 Unauthorized", kind="webhook")).action == "Replace headers"
    found = listed("401 Unauthorized", kind="webhook")
    bare = replace(found, stored=replace(found.stored, masks={}))
    assert required(bare).action == "Enter headers"


def test_what_is_held_says_until_when_and_when_content_goes() -> None:
    found = required(listed("401 Unauthorized"))
    assert found.held_until_us == NOW_US + 1000 * MINUTE_US
    assert found.content_until_us == NOW_US + 50 * MINUTE_US


def test_the_operators_destination_has_no_button() -> None:
    found = required(listed("401 Unauthorized", origin="operator"))
    assert found.action is None
    assert "operator" in found.to_do


def test_a_destination_that_fails_for_long_asks_for_patience() -> None:
    found = required(listed("503 Service Unavailable", word="retrying"))
    assert found.action is None
    assert "tried again by itself" in found.to_do
    assert required(listed("429 Too Many Requests", word="throttled")).to_do.startswith("Nothing: ")


def test_a_destination_that_has_just_begun_to_fail_is_no_problem_yet() -> None:
    assert problem(listed("503 Service Unavailable", word="retrying", behind_s=20)) is None
