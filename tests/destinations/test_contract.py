"""What every destination type owes; a new file in destinations/ is tested without a line here."""

import dataclasses
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

import destinations
from broadcast import genai_names, privacy, receipt_parser
from broadcast.destination import Batch, Destination, OTLPDestination, Response, Verdict, normalised
from broadcast.errors import SettingsError, VaultError
from broadcast.fields import BULLETS
from broadcast.receipt import Cost, Error, KeyRef, Receipt, Timing, Usage
from broadcast.span import ResourceSpans, Span
from broadcast.vault import KeyRing, Vault, new_key
from tests.broadcast.test_variation import variation
from tests.receiver import decode, spans_of

OURS = {name for name in vars(genai_names).values() if isinstance(name, str) and "." in name}
AT_US = 1_790_000_000_000_000
FOLDER = Path(destinations.__file__).parent
SECRET = "CANARY0secret1value2that3must4not5show"
SPANS = ResourceSpans(
    resource={"service.name": "openrouter"},
    scope="openrouter",
    spans=(
        Span(
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
            span_id="00f067aa0ba902b7",
            name="chat openai/gpt-4o",
            kind=3,
            start_ns=1_790_000_000_000_000_000,
            end_ns=1_790_000_001_000_000_000,
            attributes={"gen_ai.usage.input_tokens": 12, "gen_ai.usage.cost": 0.00042, "ok": True},
        ),
    ),
)
RECEIPT = Receipt(
    id="gen-1",
    created_at_us=1_790_000_000_000_000,
    duration_us=1_000_000,
    model="openai/gpt-4o",
    status="succeeded",
    usage=Usage(
        input_tokens=100, output_tokens=50, total_tokens=150, cache_read_tokens=40, reasoning_tokens=20
    ),
    cost=Cost(total_nano_usd=420_000),
    timing=Timing(first_token_ms=250.5),
    api_key=KeyRef(hash="0" * 64, name="key"),
    input=[{"role": "user", "content": "the-prompt-text"}],
    output=[{"role": "assistant", "content": "the-completion-text"}],
)

KEY_IN_BODY = {"posthog"}
"""Types whose vendor reads the credential in the body and nowhere else."""

NOT_YET = {("snowflake", 202)}
"""Successes that say no more than that the work has begun."""

KEYS_OR_ROLE = {"s3": {"accessKeyId": "AKIA", "secretAccessKey": SECRET}}
"""Settings that are optional only because others may stand in for them."""

every_type = pytest.mark.parametrize("slug", destinations.TYPES)
every_otlp_type = pytest.mark.parametrize(
    "slug", [slug for slug, kind in destinations.TYPES.items() if not kind.has_own_api()]
)
every_own_api = pytest.mark.parametrize(
    "slug", [slug for slug, kind in destinations.TYPES.items() if kind.has_own_api()]
)


def type_of(slug: str) -> type[Destination]:
    return destinations.TYPES[slug]


def config_of(slug: str, *, optional: bool = True) -> dict[str, Any]:
    """The example of every setting; secrets replaced by the canary."""
    config: dict[str, Any] = {}
    for spec in type_of(slug).specs():
        if not (spec.required or optional):
            continue
        if spec.kind == "headers":
            config[spec.outside] = dict.fromkeys(spec.example, SECRET)
        else:
            config[spec.outside] = SECRET if spec.kind == "secret" else spec.example
    return config


def made(slug: str) -> Destination:
    return type_of(slug).parse(config_of(slug))


def batch(destination: Destination, *, test: bool = False) -> Batch:
    pieces = (destination.encode(SPANS),) * min(2, destination.max_receipts())
    return Batch(id="b-1", at_us=AT_US, pieces=pieces, test=test)


def login_page() -> Response:
    page = answer(200, b"<!doctype html><title>Log in</title>")
    return dataclasses.replace(page, headers={"content-type": "text/html; charset=utf-8"})


def answer(status: int, body: bytes = b"") -> Response:
    return Response(
        status=status,
        reason="",
        headers={"content-type": "application/json"},
        body=body,
        duration_ms=1.0,
        sent_bytes=1,
        host="h",
    )


def test_every_file_is_found_under_its_slug() -> None:
    files = {path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if not path.name.startswith("_")}
    assert files == set(destinations.TYPES)
    assert {"grafana", "honeycomb", "langfuse", "otel-collector", "webhook"} <= files


@every_type
def test_a_file_is_short_and_has_a_wire_test_and_a_source(slug: str) -> None:
    name = slug.replace("-", "_")
    text = (FOLDER / f"{name}.py").read_text()
    assert len(text.splitlines()) <= 150
    assert re.search(
        r"Sources?: https://.*read 20\d\d-\d\d-\d\d",
        (inspect.getmodule(type_of(slug)) or ...).__doc__ or "",
        re.DOTALL,
    )
    assert (Path(__file__).parent / f"test_{name}.py").exists()


@every_type
def test_the_card_is_complete(slug: str) -> None:
    kind = type_of(slug)
    assert kind.title.strip()
    assert kind.__doc__
    assert kind.category in {"tracing", "llm", "storage"}
    assert re.fullmatch(r"[A-Z][a-z]", kind.mark)
    assert kind.docs.startswith("https://")
    assert kind.setup
    assert all(step.endswith(".") for step in (*kind.setup, *kind.hints.values()))


def test_no_two_types_share_a_title_or_a_mark() -> None:
    kinds = destinations.TYPES.values()
    assert len({kind.title for kind in kinds}) == len({kind.mark for kind in kinds}) == len(kinds)


@every_type
def test_every_setting_is_explained_and_its_example_is_valid(slug: str) -> None:
    for spec in type_of(slug).specs():
        assert spec.label
        assert spec.example not in ("", None), spec.outside
        assert re.fullmatch(r"[a-z][a-zA-Z]*", spec.outside)
    type_of(slug).parse(config_of(slug))
    type_of(slug).parse(config_of(slug, optional=False) | KEYS_OR_ROLE.get(slug, {}))
    type_of(slug).parse({spec.outside: spec.example for spec in type_of(slug).specs()})


@every_type
def test_every_type_takes_headers(slug: str) -> None:
    config = {**config_of(slug), "headers": {"X-Own": "mine"}}
    destination = type_of(slug).parse(config)
    assert destination.request(batch(destination)).headers["x-own"] == "mine"


@every_type
def test_a_missing_setting_is_named(slug: str) -> None:
    required = {spec.outside for spec in type_of(slug).specs() if spec.required}
    with pytest.raises(SettingsError) as caught:
        type_of(slug).parse({})
    assert caught.value.problems.keys() == required


@every_type
def test_an_unknown_setting_is_named(slug: str) -> None:
    with pytest.raises(SettingsError) as caught:
        type_of(slug).parse({**config_of(slug), "workspaceId2": "x"})
    assert caught.value.problems.keys() == {"workspaceId2"}


@every_type
def test_no_secret_shows_in_text_url_or_plain_settings(slug: str) -> None:
    destination = made(slug)
    request = destination.request(batch(destination))
    check = destination.credential_check(AT_US)
    shown = [
        repr(destination),
        str(destination),
        repr(request),
        repr(check),
        request.url,
        *destination.address(),
    ]
    shown += [json.dumps(destination.plain()), json.dumps(destination.masks()), str(destination.warnings())]
    assert all(SECRET not in text for text in shown)
    assert slug in KEY_IN_BODY or SECRET.encode() not in request.body


@every_type
def test_a_request_is_pure_and_well_formed(slug: str) -> None:
    destination = made(slug)
    request = destination.request(batch(destination))
    assert request == destination.request(batch(destination))
    assert request.method in {"POST", "PUT"}
    assert request.url.startswith("https://")
    assert all(name == name.lower() for name in request.headers)
    assert request.compress is destination.compress


@pytest.mark.parametrize(
    ("slug", "encoding"),
    [
        (slug, encoding)
        for slug, kind in destinations.TYPES.items()
        for encoding in next((spec.choices for spec in kind.specs() if spec.name == "encoding"), ())
        if encoding != "grpc"
    ]
    + [(slug, "") for slug, kind in destinations.TYPES.items() if not kind.has_own_api()],
)
def test_the_body_is_what_the_type_declares_and_the_user_chose(slug: str, encoding: str) -> None:
    chosen = {"encoding": encoding} if encoding else {}
    destination = type_of(slug).parse(config_of(slug) | chosen)
    assert encoding in {"", destination.encoding}
    request = destination.request(batch(destination))
    expected = {"json": "application/json", "protobuf": "application/x-protobuf"}[destination.encoding]
    assert request.headers["content-type"] == expected
    found = spans_of(decode(request.body, expected))
    assert [span.name for span in found] == ["chat openai/gpt-4o"] * 2
    assert found[0].trace_id == SPANS.spans[0].trace_id
    assert found[0].attributes == SPANS.spans[0].attributes


@every_type
def test_otlp_types_send_gzip_and_others_say_what_they_send(slug: str) -> None:
    kind = type_of(slug)
    assert kind.has_own_api() is bool(kind.sent_as) is bool(kind.media_type)
    assert not issubclass(kind, OTLPDestination) or (kind.compress and not kind.has_own_api())


@every_own_api
def test_an_api_of_its_own_carries_every_receipt(slug: str) -> None:
    destination = made(slug)
    request = destination.request(batch(destination))
    assert request.headers["content-type"] == destination.media_type
    pieces, trace_id = batch(destination).pieces, SPANS.spans[0].trace_id.encode()
    assert request.body.count(trace_id) == sum(piece.count(trace_id) for piece in pieces) > 0


@every_type
@pytest.mark.parametrize("status", [*range(100, 104), *range(200, 209), *range(300, 309), *range(400, 600)])
def test_every_status_gives_a_verdict_with_a_reason(slug: str, status: int) -> None:
    outcome = made(slug).judge(answer(status, b"\xff not json"))
    assert isinstance(outcome.verdict, Verdict)
    assert outcome.reason
    assert outcome.status_code == status
    assert outcome.delivered is (200 <= status < 300 and (slug, status) not in NOT_YET)


@every_type
def test_a_page_for_people_takes_no_receipts(slug: str) -> None:
    """A login proxy, or a wrong host: what it answered with 200 would be lost without a word."""
    outcome = made(slug).judge(login_page())
    assert (outcome.verdict, "web page" in outcome.reason) == (Verdict.REFUSED, True)


@every_type
@pytest.mark.parametrize("level", privacy.LEVELS)
def test_what_must_not_leave_is_in_no_request(slug: str, level: str) -> None:
    destination = made(slug)
    told = structs.replace(RECEIPT, error=Error(type="upstream", message="the-error-text"), status="error")
    content = receipt_parser.content(told) if privacy.wants_content(level) else None
    body, _ = variation(level, destination).encoded(told, content, had_content=True)
    sent = destination.request(Batch(id="b-1", at_us=AT_US, pieces=(body,)))
    leaves = level in {"redacted", "full"}
    for text in ("the-prompt-text", "the-completion-text", "the-error-text"):
        assert (text.encode() in sent.body) is leaves, text
        assert text not in f"{sent.url} {sent.headers}"


@every_type
def test_the_common_refusals_have_a_hint(slug: str) -> None:
    assert {401, 403, 404, 413} <= type_of(slug).hints.keys()


@every_type
def test_a_credential_check_asks_and_its_answer_is_judged(slug: str) -> None:
    destination = made(slug)
    check = destination.credential_check(AT_US)
    if check is None:
        return
    assert (check.method, check.compress) in {("GET", False), ("POST", False)}
    assert bool(check.body) is (check.method == "POST") is ("content-type" in check.headers)
    assert all(
        SECRET not in (destination.judge_credential(answer(status)) or "") for status in range(200, 600)
    )
    assert destination.judge_credential(answer(401))
    assert destination.judge_credential(login_page())
    assert "refused" not in (destination.judge_credential(answer(503)) or "")


@every_type
def test_the_address_is_told_without_any_secret(slug: str) -> None:
    secret = {spec.outside for spec in type_of(slug).specs() if spec.secret}
    config = {name: value for name, value in config_of(slug).items() if name not in secret}
    bare = type_of(slug).parse(config, secrets_required=False)
    assert bare.address() == made(slug).address()
    assert all(re.fullmatch(r"https://[^/]+:\d+/.*", address) for address in bare.address())


@every_type
def test_the_address_names_every_place_that_is_called(slug: str) -> None:
    destination = made(slug)
    check = destination.credential_check(AT_US)
    data = destination.data_check(SPANS.spans[0].trace_id, AT_US)
    called = [destination.request(batch(destination)), *(one for one in (check, data) if one is not None)]
    if getattr(destination, "metrics_url", None) is not None:
        called.append(destination.metrics_request(b""))
    assert len(called) == len(destination.address())
    for address, request in zip(destination.address(), called, strict=True):
        assert normalised(request.url).startswith(address.replace("0" * 32, SPANS.spans[0].trace_id))
    if not destination.has_own_api():
        assert destination.address()[0] == normalised(called[0].url)


@every_type
def test_a_secret_sealed_for_one_place_opens_for_no_other(slug: str) -> None:
    destination = made(slug)
    vault = Vault(KeyRing.parse(new_key()))
    place = {"workspace": "w", "destination": "d"}
    sealed = vault.seal_secrets(destination.secrets(), **place, address=destination.address())
    for at in range(len(destination.address())):
        moved = list(destination.address())
        moved[at] = "https://elsewhere.example:443/"
        with pytest.raises(VaultError):
            vault.open_secrets(sealed, **place, address=tuple(moved))


@every_type
def test_settings_survive_the_vault(slug: str) -> None:
    destination = made(slug)
    vault = Vault(KeyRing.parse(new_key()))
    place: Any = {"workspace": "w", "destination": "d", "address": destination.address()}
    opened: dict[str, Any] = dict(
        vault.open_secrets(vault.seal_secrets(destination.secrets(), **place), **place)
    )
    if "headers" in opened:
        opened["headers"] = json.loads(opened["headers"])
    assert type_of(slug).parse({**destination.plain(), **opened}) == destination


@every_type
def test_secrets_come_back_masked(slug: str) -> None:
    masks = made(slug).masks()
    assert masks.keys() == made(slug).secrets().keys()
    flat = json.dumps(masks, ensure_ascii=False)
    assert SECRET[4:-4] not in flat
    assert BULLETS in flat or "…" in flat or not masks


@every_type
def test_extra_attributes_hold_no_content_and_never_the_names_of_ours(slug: str) -> None:
    extra = made(slug).extra_attributes(RECEIPT)
    assert "the-prompt-text" not in str(extra)
    assert "the-completion-text" not in str(extra)
    assert OURS.isdisjoint(extra)
    assert not any(name.startswith(("trace.", "openrouter.")) for name in extra)
    assert (
        made(slug).extra_attributes(
            Receipt(id="x", created_at_us=0, duration_us=0, model="m", status="error")
        )
        is not None
    )


@every_type
def test_a_trace_link_leads_to_https_or_nowhere(slug: str) -> None:
    link = made(slug).trace_url("4bf92f3577b34da6a3ce929d0e0e4736", 1_790_000_000_000_000)
    assert link is None or link.startswith("https://")
    assert link is None or "4bf92f3577b34da6a3ce929d0e0e4736" in link.replace("-", "")


LINKED = [
    slug
    for slug, kind in destinations.TYPES.items()
    if any(spec.outside == "traceLink" for spec in kind.specs())
]
PAGES_OF_NOTHING = {"bigquery", "clickhouse", "s3", "snowflake"}
"""Tables and objects: no page of theirs shows a trace."""


def test_every_type_has_a_page_of_a_trace_or_takes_its_address() -> None:
    without = {slug for slug in destinations.TYPES if made(slug).trace_url("ab" * 16, AT_US) is None}
    assert without == PAGES_OF_NOTHING


@pytest.mark.parametrize("slug", LINKED)
def test_the_user_may_say_where_a_traces_page_is(slug: str) -> None:
    link = {"traceLink": "https://my.example/p?q=1#/trace/{traceId}/all"}
    found = type_of(slug).parse(config_of(slug) | link)
    assert found.trace_url("ab" * 16, AT_US) == f"https://my.example/p?q=1#/trace/{'ab' * 16}/all"
    assert type_of(slug).parse(config_of(slug) | {"traceLink": None}).trace_url("ab" * 16, AT_US) is None


@pytest.mark.parametrize("slug", LINKED)
@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("https://my.example/trace", "Write {traceId} where"),
        ("http://my.example/{traceId}", "Enter an https address"),
        ("javascript:alert('{traceId}')", "https://traces.example.com/trace/{traceId}"),
    ],
)
def test_an_address_that_is_no_page_of_a_trace_is_refused(slug: str, link: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        type_of(slug).parse(config_of(slug) | {"traceLink": link})
    assert words in caught.value.problems["traceLink"]


@every_type
def test_limits_are_sane(slug: str) -> None:
    kind = type_of(slug)
    assert 1 <= kind.max_spans <= 512
    assert 1000 <= kind.max_attribute_bytes <= kind.max_bytes <= 10_000_000
