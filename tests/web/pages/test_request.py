"""A request's page: its queries, its waterfall, its receipt as it is stored, and the way to its traces."""

import html
import json
import re
from collections.abc import Iterator

import pytest

from broadcast.store import workspaces
from tests.broadcast.sending import World
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages
from tests.web.pages.well_made import faults
from web.formats import iso


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def queries(page: str) -> dict[str, str]:
    """What finds the request elsewhere, by its title; the button beside it copies the same."""
    found = {}
    pattern = r'<h3>(TraceQL[^<]*)</h3></div><div class="code-box"><pre>(.*?)</pre>(.*?)</div>'
    for title, shown, button in re.findall(pattern, page, re.DOTALL):
        found[title] = html.unescape(shown)
        copied = re.search(r'data-copy="([^"]*)"', button)
        assert copied
        assert html.unescape(copied[1]) == found[title]
    return found


@pytest.mark.parametrize(
    ("session", "quoted"),
    [
        ("session-42", '"session-42"'),
        ('a "b" \\ c', r'"a \"b\" \\ c"'),
        ("<b>&amp;</b>", '"<b>&amp;</b>"'),
        ("one\ntwo\t3", r'"one\ntwo\t3"'),
        ("naïve 日本 🦜", '"naïve 日本 🦜"'),
    ],
)
def test_traceql_finds_the_request_and_its_session(pages: Pages, session: str, quoted: str) -> None:
    id_ = pages.send(session_id=session)

    page = pages.get(f"/activity/{id_}")

    assert faults(page) == []
    assert queries(page) == {
        "TraceQL for this request": f'{{ resource.openrouter.trace.id = "{id_}" }}',
        "TraceQL for its session": '{ resource.service.name = "openrouter" && span.session.id = '
        f"{quoted} }}",
    }


def test_without_a_session_there_is_no_query_for_it(pages: Pages) -> None:
    id_ = pages.send(session_id=None)
    assert list(queries(pages.get(f"/activity/{id_}"))) == ["TraceQL for this request"]


def test_the_receipt_is_shown_as_it_was_sent(pages: Pages) -> None:
    id_ = pages.send(metadata={"deep": [1, {"a": "<&>"}]})
    page = pages.get(f"/activity/{id_}")
    raw = re.search(r"<summary>Raw JSON</summary>.*?<pre>(.*?)</pre>", page, re.DOTALL)
    assert raw
    document = json.loads(html.unescape(raw[1]))
    assert (document["id"], document["metadata"]) == (id_, {"deep": [1, {"a": "<&>"}]})
    assert document["usage"]["input_tokens"] == 1200


def test_the_waterfall_has_a_bar_for_each_attempt_and_marks_the_first_token(pages: Pages) -> None:
    attempts = [
        {"provider": "Azure", "status_code": 503, "start_ms": 3, "duration_ms": 200},
        {"provider": "OpenAI", "status_code": 200, "start_ms": 203, "duration_ms": 1000},
    ]
    id_ = pages.send(attempts=attempts, routing={"profile": "balanced"}, trace={"trace_name": "Answer"})

    page = pages.get(f"/activity/{id_}")

    bars = re.search(r'<ol class="waterfall">.*?</ol>', page, re.DOTALL)
    assert bars
    names = re.findall(r'class="label depth-(\d)">(?:<span.*?</span></span>)?([^<]+)<', bars[0])
    assert names == [
        ("0", "Answer"),
        ("1", "chat openai/gpt-4o-mini"),
        ("2", "route"),
        ("2", "provider attempt 1: Azure"),
        ("2", "provider attempt 2: OpenAI"),
    ]
    assert re.findall(r'aria-label="(503[^"]*)"', bars[0]) == ["503, 200 ms"]
    # A third of the time passes before the first token: the bar changes its colour there, below a mark.
    (main,) = re.findall(r'<li class="is-main.*?</li>', bars[0], re.DOTALL)
    before, after, mark = re.findall(r'<rect class="([^"]+)" x="([\d.]+)%" y="\d+" width="([\d.]+)', main)
    assert (before[0], after[0], mark[0]) == ("fill-s3", "fill-s1", "fill-ink")
    assert float(before[2]) / (float(before[2]) + float(after[2])) == pytest.approx(
        412.5 / 1234.567, abs=1e-3
    )
    assert after[1] == mark[1]
    assert "before first token" in page


def test_an_error_is_shown_in_the_provider_s_words(pages: Pages) -> None:
    id_ = pages.send(status="error", error={"type": "timeout", "message": "late <b>again</b>"})
    assert "timeout: “late &lt;b&gt;again&lt;/b&gt;”" in pages.get(f"/activity/{id_}")


def test_every_destination_that_has_the_trace_links_to_it(pages: Pages, receiver: Receiver) -> None:
    services = pages.services
    with services.store.write() as conn:
        workspaces.set_broadcast(conn, pages.workspace.id, True)
    world = World.of(services, pages.workspace, receiver)
    for name in ("one", "two"):
        link = f"https://{name}.example.com/trace/{{traceId}}"
        config = {"endpoint": receiver.url("/ok"), "traceLink": link}
        world.destination(name=name, config=config)
    world.destination(name="three")
    sent = pages.send(trace={"trace_id": "4BF92F3577B34DA6A3CE929D0E0E4736"})
    waiting = pages.get(f"/activity/{sent}")

    world.deliver()

    page = pages.get(f"/activity/{sent}")
    table = re.search(r'<table class="stack delivery">.*?</table>', page, re.DOTALL)
    assert table
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert sorted(re.findall(r'<a href="(https://[^"]+)" rel="noreferrer">Open trace', table[0])) == [
        f"https://one.example.com/trace/{trace}",
        f"https://two.example.com/trace/{trace}",
    ]
    assert "3 of 3 delivered" in page
    assert "Open trace" not in waiting


# -- finding one ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["req-77", "own-77", " own-77 ", "AB" * 16, "ab" * 16])
def test_a_request_is_found_by_its_own_id_the_router_s_and_its_trace_s(pages: Pages, text: str) -> None:
    pages.send(id="req-77", request_id="own-77", trace={"trace_id": "ab" * 16})
    answer = pages.client.get(pages.at("/jump"), query_string={"id": text})
    assert answer.location.endswith("/activity/req-77")


@pytest.mark.parametrize("text", ["nobody", "x" * 999, "%", "'"])
def test_what_is_not_found_is_said(pages: Pages, text: str) -> None:
    pages.send()
    answer = pages.client.get(pages.at("/jump"), query_string={"id": text}, follow_redirects=True)
    assert "No request or trace with this id in this workspace." in answer.text


# -- live ------------------------------------------------------------------------------------------------


def test_an_open_log_hears_of_what_arrives_after_it_was_made(pages: Pages) -> None:
    pages.send(id="req-0")
    asked = re.search(r'data-newer="([^"]+)"', pages.get("/activity"))
    assert asked
    address = html.unescape(asked[1])
    before = pages.client.get(address).json
    # What arrives late is new all the same, though it began long ago.
    late = {"id": "req-1", "created_at": iso(pages.services.clock() - 3_600_000_000)}
    pages.send(**late)
    pages.send(**late)
    pages.send(id="req-2")

    assert (before, pages.client.get(address).json) == ({"newer": 0}, {"newer": 2})


@pytest.mark.parametrize(("after", "newer"), [("x", 3), ("-1", 4), ("99999999999999999999", 0)])
def test_an_address_that_nobody_made_is_answered(pages: Pages, after: str, newer: int) -> None:
    for number in range(3):
        pages.send(id=f"req-{number}")
    assert pages.client.get(pages.at(f"/activity/newer?after={after}")).json == {"newer": newer}
