"""One number, five places: cards, charts, log, usage API and what destinations were sent come to the same."""

import csv
import html
import io
import json
import random
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from broadcast import rollup, sums_proof, usage
from broadcast.store import workspaces
from broadcast.tally import DAY_US
from tests.broadcast.sending import World
from tests.factories import receipt_document
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages
from web.formats import iso, money

MANY = 60


def some_documents(now_us: int) -> list[dict[str, Any]]:
    """Requests of six days in no order, some without a price, as a router posts them."""
    dice = random.Random(5)
    return [
        receipt_document(
            id=f"req-{number}",
            created_at=iso(now_us - dice.randrange(1000, 6 * DAY_US)),
            cost=dice.choice((None, {"total_usd": f"0.{dice.randrange(10**6):06}"})),
            status=dice.choice(("succeeded", "error", "denied", "cancelled")),
            model=dice.choice(("a/small", "b/large")),
        )
        for number in range(MANY)
    ]


def post(pages: Pages, documents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Post receipts together, as a router does."""
    body = json.dumps(list(documents)).encode()
    status, answer = pages.services.ingest.accept_body(pages.workspace.id, None, body, "application/json")
    assert status == 202, answer
    return answer


def card(page: str, label: str) -> str:
    found = re.search(rf'class="label">{label}</span><span class="value">([^<]*)<', page)
    assert found, label
    return found[1]


def charted(page: str) -> int:
    """The sum of what the chart's table says of each step."""
    table = re.search(r"<caption>Requests per.*?</table>", page, re.DOTALL)
    assert table
    return sum(int(cell) for cell in re.findall(r"<td>(\d+)</td>", table[0]))


def broken_down(page: str) -> int:
    """The sum of a breakdown's lines."""
    table = re.search(r'<table class="log breakdown">.*?</table>', page, re.DOTALL)
    assert table
    return sum(map(int, re.findall(r'data-label="requests">(\d+)<', table[0])))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.mark.parametrize("rolled", ["nothing", "half", "everything"])
def test_late_and_duplicate_requests_come_to_the_same_everywhere(
    pages: Pages, receiver: Receiver, rolled: str
) -> None:
    services, now_us = pages.services, pages.services.clock()
    with services.store.write() as conn:
        workspaces.set_broadcast(conn, pages.workspace.id, True)
    world = World.of(services, pages.workspace, receiver)
    world.destination()
    made = some_documents(now_us)

    post(pages, made[: MANY // 2])
    if rolled != "nothing":
        with services.store.write() as conn:
            rollup.step(conn)
    # The second half began before, after and between the first; ten of those come once more.
    assert post(pages, [*made[MANY // 2 :], *made[:10]])["duplicates"] == 10
    if rolled == "everything":
        with services.store.write() as conn:
            rollup.step(conn)
    world.deliver(rounds=2)

    priced = [Decimal(one["cost"]["total_usd"]) for one in made if "cost" in one]
    spend = sum(priced, Decimal(0))
    assert 0 < len(priced) < MANY
    page = pages.get("/activity?window=week&metric=requests")
    assert (card(page, "Requests"), card(page, "Spend")) == (str(MANY), money(int(spend * 10**9)))
    assert charted(page) == MANY
    for by in ("model", "status", "session", "user", "trace.environment"):
        assert broken_down(pages.get(f"/activity?window=week&by={by}")) == MANY, by
    log = list(csv.DictReader(io.StringIO(pages.get("/requests.csv?window=week"), newline="")))
    charges = [Decimal(row["final_charge_micro_usd"]) for row in log if row["final_charge_micro_usd"]]
    assert (len(log), len(charges), sum(charges) / 10**6) == (MANY, len(priced), spend)
    told = usage.of(services.store, pages.workspace, now_us - 7 * DAY_US, now_us)
    assert Decimal(told["spend_micro_usd"]) / 10**6 == spend
    assert (told["request_count"], told["unpriced_request_count"]) == (MANY, MANY - len(priced))
    sent = [span.attributes for span in receiver.spans() if "gen_ai.operation.name" in span.attributes]
    costs = [Decimal(str(one["gen_ai.usage.cost"])) for one in sent if "gen_ai.usage.cost" in one]
    assert (len(sent), len(costs), sum(costs)) == (MANY, len(priced), spend)
    assert sums_proof.prove(services.store, retention_us=30 * DAY_US).faults == ()


# -- filters -----------------------------------------------------------------------------------------

LONG = "x" * 200
VALUES = ("a", True, 7, LONG[:100])
ASKED: tuple[dict[str, str], ...] = (
    {"user": "ada"},
    {"user": "ada", "session": ""},
    {"user": "", "session": "s-1"},
    {"user": "ada", "session": "s-1"},
    {"user": "grace", "trace.feature": "a"},
    {"session": "s-2", "trace.feature": "true"},
    {"trace.feature": "7"},
    {"trace.feature": LONG[:100]},
    {"trace.feature": "a", "trace.tier": "free"},
    {"trace.tier": "paid", "trace.feature": "true", "user": "ada"},
    {"user": LONG},
    {"user": LONG[1:]},
    {"user": "ADA"},
)


def some_callers(now_us: int) -> list[dict[str, Any]]:
    """Requests of two days by a few people in a few sessions, about a few features."""
    dice = random.Random(6)
    return [
        receipt_document(
            id=f"req-{number}",
            created_at=iso(now_us - dice.randrange(1000, 2 * DAY_US)),
            user=dice.choice(("ada", "grace", LONG, None)),
            session_id=dice.choice(("s-1", "s-2", None)),
            trace={"feature": dice.choice(VALUES), "tier": dice.choice(("free", "paid"))},
        )
        for number in range(MANY)
    ]


def matches(one: dict[str, Any], asked: dict[str, str]) -> bool:
    """Whether a person would say that this request is one of those asked for."""
    told = {"user": one.get("user"), "session": one.get("session_id")}
    told |= {f"trace.{key}": str(value).lower() for key, value in one["trace"].items()}
    return all(told[name] == value for name, value in asked.items() if value)


@pytest.fixture(params=["nothing rolled", "half rolled", "everything rolled"])
def called(request: pytest.FixtureRequest, pages: Pages) -> tuple[Pages, list[dict[str, Any]]]:
    """A log that filled in no order, some of it twice, and what it has to hold."""
    made = some_callers(pages.services.clock())
    post(pages, made[: MANY // 2])
    if request.param != "nothing rolled":
        with pages.services.store.write() as conn:
            rollup.step(conn)
    post(pages, [*made[MANY // 2 :], *made[:10]])
    if request.param == "everything rolled":
        with pages.services.store.write() as conn:
            rollup.step(conn)
    return pages, made


def test_a_filter_of_one_two_or_three_things_shows_the_same_in_cards_log_and_breakdown(
    called: tuple[Pages, list[dict[str, Any]]],
) -> None:
    pages, made = called
    for asked in ASKED:
        question = urlencode({"window": "week", **asked})
        wanted = {one["id"] for one in made if matches(one, asked)}
        log = csv.DictReader(io.StringIO(pages.get(f"/requests.csv?{question}"), newline=""))
        page = pages.get(f"/activity?{question}&metric=requests")
        assert {row["id"] for row in log} == wanted, asked
        assert (card(page, "Requests"), charted(page)) == (str(len(wanted)), len(wanted)), asked
        assert broken_down(page) == len(wanted) if wanted else "No requests match." in page, asked


def test_a_line_of_a_breakdown_leads_to_as_many_requests_as_it_says(
    called: tuple[Pages, list[dict[str, Any]]],
) -> None:
    pages, _ = called
    page = pages.get("/activity?window=week&trace.tier=free&by=trace.feature")
    table = page[page.index('<table class="log breakdown">') :]
    lines = re.findall(r'class="row-link" href="([^"]+)">[^<]+</a></td><td[^>]*>(\d+)<', table)
    assert len(lines) == len(VALUES)
    for href, number in lines:
        assert card(pages.client.get(html.unescape(href)).text, "Requests") == number
