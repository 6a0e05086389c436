"""Activity: cards, charts, breakdowns, filters, sessions and CSV say the same numbers."""

import csv
import io
import re
from typing import Any

import pytest

from broadcast import activity, figures, rollup
from broadcast.request_log import STATUSES
from tests.web.pages.conftest import Pages
from tests.web.pages.well_made import faults
from web.asked import METRICS
from web.formats import NONE, SOURCES, iso
from web.zones import COOKIE

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@pytest.fixture
def busy(pages: Pages) -> Pages:
    """Requests of three days: some failed, one without a price."""
    now = pages.services.clock()
    made: list[tuple[int, dict[str, Any]]] = [
        (60_000_000, {"model": "a/large", "cost": {"total_usd": "1.5"}, "user": "ada"}),
        (2 * HOUR_US, {"model": "a/small", "cost": {"total_usd": "0.25"}, "status": "error"}),
        (3 * HOUR_US, {"model": "a/small", "cost": None, "session_id": "chat-9", "trace": {"feature": "x"}}),
        (DAY_US + HOUR_US, {"model": "b/old", "cost": {"total_usd": "4"}, "user": "grace"}),
        (3 * DAY_US, {"model": "b/old", "cost": {"total_usd": "8"}, "provider": None}),
    ]
    for number, (age_us, fields) in enumerate(made):
        pages.send(id=f"req-{number}", created_at=iso(now - age_us), **fields)
    return pages


def card(page: str, label: str) -> str:
    found = re.search(rf'class="label">{label}</span><span class="value">([^<]*)<', page)
    assert found, label
    return found[1]


def under(page: str, label: str) -> list[str]:
    """The lines under a card's figure."""
    found = re.search(rf'class="label">{label}</span>.*?</a>', page)
    assert found, label
    return re.findall(r'class="under">([^<]*)<', found[0])


def rows(page: str) -> list[str]:
    """The ids of the requests that the log shows."""
    return re.findall(r'href="/w/[^/]+/activity/(req-\d+)"', page)


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize(
    ("window", "spend", "requests"),
    [("day", "$1.75", "3"), ("week", "$13.75", "5"), ("month", "$13.75", "5"), ("all", "$13.75", "5")],
)
def test_cards_say_what_a_window_came_to(
    busy: Pages, window: str, spend: str, requests: str, rolled: bool
) -> None:
    if rolled:
        with busy.services.store.write() as conn:
            rollup.step(conn)

    page = busy.get(f"/activity?window={window}")

    assert card(page, "Spend") == spend
    assert card(page, "Requests") == requests
    assert len(rows(page)) == int(requests)


@pytest.mark.parametrize(
    ("label", "change"),
    [
        ("Spend", "-56.2% on the day before"),
        ("Requests", "+200.0% on the day before"),
        ("Tokens", "+200.0% on the day before"),
        ("Latency, median", "+0.0% on the day before"),
        ("Errors", "none in the day before"),
    ],
)
def test_every_card_says_its_change_against_the_time_before(busy: Pages, label: str, change: str) -> None:
    assert under(busy.get("/activity"), label)[-1] == change
    assert under(busy.get("/activity?window=all"), label)[-1] == "since the first request"


def test_errors_change_by_points(busy: Pages) -> None:
    now = busy.services.clock()
    for number, (age_us, status) in enumerate([(DAY_US + 2 * HOUR_US, "error"), (HOUR_US, "succeeded")]):
        busy.send(id=f"more-{number}", created_at=iso(now - age_us), status=status)
    assert under(busy.get("/activity"), "Errors")[-1] == "-25.00 points on the day before"


def test_an_unknown_price_is_said_and_never_counted_as_nothing(busy: Pages) -> None:
    page = busy.get("/activity")
    assert "1 request has no known price and is not in Spend." in page
    assert card(busy.get("/activity?session=chat-9"), "Spend") == "unknown"


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("model=a/small", ["req-1", "req-2"]),
        ("status=error", ["req-1"]),
        ("user=ada", ["req-0"]),
        ("session=chat-9", ["req-2"]),
        ("trace.feature=x", ["req-2"]),
        ("window=week&provider=", ["req-4"]),
        ("window=week&model=b/old&user=grace", ["req-3"]),
        ("key=nobody", []),
    ],
)
def test_a_filter_holds_for_cards_and_log_alike(busy: Pages, question: str, shown: list[str]) -> None:
    page = busy.get(f"/activity?{question}")
    assert rows(page) == shown
    assert card(page, "Requests") == str(len(shown))
    assert "Clear filters" in page


def test_a_filter_stays_in_every_address_of_the_page(busy: Pages) -> None:
    page = busy.get("/activity?model=a/small&metric=tokens")
    windows = re.search(r'<nav class="choices".*?</nav>', page, re.DOTALL)
    assert windows
    links = re.findall(r'href="([^"]+)"', windows[0])
    assert all("model=a/small" in link and "metric=tokens" in link for link in links)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("window", ["day", "week", "month", "all"])
def test_every_chart_is_well_made_and_stands_beside_its_table(busy: Pages, metric: str, window: str) -> None:
    page = busy.get(f"/activity?metric={metric}&window={window}")
    assert faults(page) == []
    assert "<caption>" in page
    assert page.count("<figure") == (1 if metric == "latency" else 2)


@pytest.mark.parametrize(
    ("by", "name"),
    [
        ("model", "a/large"), ("provider", "OpenAI"), ("key", "backend"), ("status", "error"),
        ("user", "ada"), ("session", "chat-9"), ("capability", "none"), ("trace.feature", "x"),
    ],
)  # fmt: skip
def test_requests_are_told_apart_by(busy: Pages, by: str, name: str) -> None:
    page = busy.get(f"/activity?by={by}")
    table = re.search(r'<table class="log breakdown">.*?</table>', page, re.DOTALL)
    assert table
    assert f">{name}<" in table[0]


def test_a_breakdown_is_of_the_requests_that_the_filters_let_through(busy: Pages) -> None:
    page = busy.get("/activity?window=week&by=user&model=b/old")
    table = re.search(r'<table class="log breakdown">.*?</table>', page, re.DOTALL)
    assert table
    assert ">grace<" in table[0]
    assert ">ada<" not in table[0]


@pytest.mark.parametrize("rolled", [False, True])
def test_sessions_of_a_window_lead_to_their_requests(busy: Pages, rolled: bool) -> None:
    if rolled:
        with busy.services.store.write() as conn:
            rollup.step(conn)
    page = busy.get("/activity?by=session")
    lines = re.findall(r'class="row-link" href="([^"]+)">([^<]+)</a></td><td[^>]*>(\d+)<', page)
    # Two of the day have the usual session, one another; those of earlier days are not counted.
    assert [(name, number) for _, name, number in lines] == [("session-42", "2"), ("chat-9", "1")]
    (path,) = (href for href, name, _ in lines if name == "chat-9")
    assert rows(busy.client.get(path.replace("&amp;", "&")).text) == ["req-2"]


def test_of_many_sessions_the_newest_requests_are_counted_and_the_page_says_so(
    busy: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "AT_MOST", 2)
    page = busy.get("/activity?by=session")
    assert "Of the newest 2 requests that match." in page
    assert card(page, "Requests") == "3"


def test_a_column_leads_to_its_requests(busy: Pages) -> None:
    page = busy.get("/activity?window=week&metric=requests")
    column = re.search(r'<a href="([^"]+)" tabindex="-1"><title>[^<]*error 1', page)
    assert column
    path = column[1].replace("&amp;", "&").split("/activity", 1)[1]
    assert "req-1" in rows(busy.get("/activity" + path))


@pytest.mark.parametrize(
    "question",
    [
        "window=century&metric=joy&by=nothing",
        "from=yesterday&to=1",
        "before=%00&user=" + "x" * 999,
        "trace.=1",
        "trace.a b=1",
    ],
)
def test_what_does_not_exist_is_left_out(busy: Pages, question: str) -> None:
    assert card(busy.get(f"/activity?{question}"), "Requests") == "3"


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", "This time ends before it begins."),
        ("from=9999-01-01T00:00:00Z", "This time has not come yet."),
        ("model=nobody", "No requests match."),
        ("window=week&before=MC4w", "There are no older requests."),
    ],
)
def test_an_empty_log_says_why(busy: Pages, question: str, told: str) -> None:
    assert f'<p class="note">{told} <a href=' in busy.get(f"/activity?{question}")


def test_the_log_ends_where_the_cards_do(busy: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A router whose clock is ahead of ours sends a request of the hour that comes."""
    ahead = busy.services.clock() + 5 * 60_000_000
    busy.send(id="req-9", created_at=iso(ahead))
    monkeypatch.setitem(vars(busy.services), "clock", lambda: ahead - ahead % HOUR_US - 1)

    page = busy.get("/activity")

    assert "req-9" not in rows(page)
    assert card(page, "Requests") == str(len(rows(page)))


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", "5"),
        ("from=9999-12-31T23:59:59Z", "0"),
        ("from=0001-01-01T00:00:00Z&to=0001-01-01T00:00:01Z", "0"),
    ],
)
def test_the_ends_of_the_calendar_can_be_asked_for_in_every_zone(
    busy: Pages, zone: str, question: str, count: str
) -> None:
    busy.client.set_cookie(COOKIE, zone)
    assert str(len(rows(busy.get(f"/activity?{question}")))) == count


@pytest.mark.parametrize(("word", "shown"), [*SOURCES.items(), ("voucher", "voucher"), (None, NONE)])
def test_what_a_request_was_paid_with_is_said_in_the_same_words_everywhere(
    pages: Pages, word: str | None, shown: str
) -> None:
    id_ = pages.send(funding_source=word)
    assert f'<td class="ink2 opt">{shown}</td>' in pages.get("/activity")
    assert f"<dt>Source</dt><dd>{shown}</dd>" in pages.get(f"/activity/{id_}")


def test_every_status_and_every_source_is_offered_as_a_filter(busy: Pages) -> None:
    page = busy.get("/activity")
    for name, words in (("status", STATUSES), ("source", SOURCES)):
        assert re.findall(rf'<a href="[^"]*\?{name}=(\w+)"', page) == list(words)


def test_more_facts_are_shown_when_asked_for(pages: Pages) -> None:
    pages.send(routing={"profile": "balanced"}, capabilities=["tools", "structured_outputs"])
    told = re.search(r'class="more-facts">([^<]*)<', pages.get("/activity?more=1"))
    assert told
    assert told[1].split(" · ") == [
        "backend", "user user-7", "session session-42", "first token 413 ms", "1 attempt", "balanced",
        "tools", "structured_outputs",
    ]  # fmt: skip
    assert "more-facts" not in pages.get("/activity")


def test_the_log_has_a_column_for_each_fact(pages: Pages) -> None:
    pages.send()
    found = re.search(r'<table class="log"><thead>.*?</thead>', pages.get("/activity"))
    assert found
    assert re.findall(r"<th [^>]*>([^<]*)<", found[0]) == [
        "Time", "Model", "Provider", "Tokens in", "out", "Cost", "Latency", "Source", "Status", "Delivery",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "drawn"),
    [
        ("spend", {"large", "small"}),
        ("requests", {"succeeded", "error"}),
        ("errors", {"error"}),
        ("tokens", {"input, not cached", "input, cached", "output"}),
        ("latency", {"p95", "p99", "median", "first token, median"}),
    ],
)
def test_a_chart_draws(busy: Pages, metric: str, drawn: set[str]) -> None:
    page = busy.get(f"/activity?metric={metric}")
    chart = re.search(r"<figure.*?</figure>", page, re.DOTALL)
    assert chart
    assert drawn <= set(re.findall(r'<th scope="col"[^>]*>([^<]*)<', chart[0]))


@pytest.mark.parametrize(("at_most", "cut"), [(1, True), (2, False)])
def test_what_was_cut_is_not_compared(
    busy: Pages, monkeypatch: pytest.MonkeyPatch, at_most: int, cut: bool
) -> None:
    monkeypatch.setattr(figures, "AT_MOST", at_most)
    page = busy.get("/activity?window=week&user=ada")
    assert ("too many to compare" in page) == cut


# -- sessions ----------------------------------------------------------------------------------------


def test_sessions_say_what_they_came_to(busy: Pages) -> None:
    page = busy.get("/sessions")
    assert faults(page) == []
    assert re.findall(r'class="row-link" href="[^"]+">([^<]+)<', page) == ["session-42", "chat-9"]


def test_without_sessions_the_page_says_how_to_name_one(pages: Pages) -> None:
    assert "x-session-id" in pages.get("/sessions")


# -- CSV ---------------------------------------------------------------------------------------------


def table(pages: Pages, question: str = "") -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(pages.get(f"/requests.csv{question}"), newline="")))


def test_csv_holds_the_requests_of_the_view(busy: Pages) -> None:
    assert [row["id"] for row in table(busy, "?model=a/small")] == ["req-1", "req-2"]
    assert [row["final_charge_micro_usd"] for row in table(busy)] == ["1500000", "250000", ""]


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_csv_is_whole_however_much_is_read_at_once(
    busy: Pages, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    everything = table(busy)
    monkeypatch.setattr(activity, "_DOCUMENTS", at_once)
    assert table(busy) == everything
    assert len(everything) == 3


def test_a_csv_that_is_cut_is_offered_as_such(busy: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ">Download CSV</a>" in busy.get("/activity")
    monkeypatch.setattr("web.pages.activity._CSV_AT_MOST", 2)
    assert ">Download CSV of the newest 2</a>" in busy.get("/activity")
    assert [row["id"] for row in table(busy)] == ["req-0", "req-1"]


def test_csv_of_no_requests_has_its_heads(busy: Pages) -> None:
    (heads,) = csv.reader(io.StringIO(busy.get("/requests.csv?model=nobody")))
    assert heads == list(table(busy)[0])
    assert "model_id" in heads


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(pages: Pages, start: str) -> None:
    pages.send(user=f"{start}HYPERLINK(1)")
    assert table(pages)[0]["user"] == f"'{start}HYPERLINK(1)"
