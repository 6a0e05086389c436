"""Replay from a page without script: choose, see the count, press the button that repeats it."""

import re
from collections.abc import Iterator

import pytest

from tests.broadcast.sending import World
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages, csrf, member
from tests.web.pages.test_pages import add_collector
from tests.web.pages.well_made import faults


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def path(pages: Pages, receiver: Receiver) -> str:
    """The page of a destination that takes everything."""
    pages.post("/settings/observability/switch", {"enabled": "on"})
    return add_collector(pages, receiver.url("/mending"))


def deliver(pages: Pages, receiver: Receiver, *ids: str) -> None:
    for id_ in ids:
        pages.send(id=id_)
    World.of(pages.services, pages.workspace, receiver).deliver(rounds=2)


def hidden(page: str) -> dict[str, str]:
    """Return what the preview's own form carries."""
    form = page.partition('<form class="verbs"')[2].partition("</form>")[0]
    found = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: value for name, value in found if name != "csrf_token"}


def start(pages: Pages, path: str, question: str) -> None:
    answer = pages.post(f"{path}/replay", hidden(pages.get(f"{path}/replay?{question}")))
    assert answer.status_code == 303, answer.text


def test_the_button_repeats_how_many_receipts_will_be_sent(
    pages: Pages, path: str, receiver: Receiver
) -> None:
    deliver(pages, receiver, "gen-a", "gen-b", "gen-c")
    left_out = pages.get(f"{path}/replay?what=hour")
    again = pages.get(f"{path}/replay?what=hour&include_delivered=1")
    assert re.search(r"disabled>Replay 0 receipts", left_out)
    assert "All of these were delivered before." in left_out
    assert ">Replay 3 receipts</button>" in again
    assert faults(again) == []


def test_a_started_replay_is_listed_and_can_be_stopped(pages: Pages, path: str, receiver: Receiver) -> None:
    deliver(pages, receiver, "gen-a", "gen-b")
    start(pages, path, "what=day&include_delivered=1")
    page = pages.get(path)
    assert "Running" in page
    stop = re.search(r'action="([^"]+/replay/[^"]+/stop)"', page)
    assert stop
    pages.client.post(stop.group(1), data={"csrf_token": csrf(page)})
    page = pages.get(path)
    assert "Stopped" in page
    assert "/stop" not in page
    assert faults(page) == []


def test_a_replay_sends_exactly_what_was_counted(pages: Pages, path: str, receiver: Receiver) -> None:
    deliver(pages, receiver, "gen-a", "gen-b")
    receiver.clear()
    start(pages, path, "what=receipt&receipt=gen-b&include_delivered=1")
    deliver(pages, receiver, "gen-fresh")
    came = {str(span.resource["openrouter.trace.id"]) for span in receiver.spans()}
    assert came == {"gen-b", "gen-fresh"}
    page = pages.get(path)
    assert "Chosen receipts" in page
    assert "Done" in page


def test_dead_letters_are_sent_again_and_are_none_afterwards(
    pages: Pages, path: str, receiver: Receiver
) -> None:
    receiver.answer("/mending", status=400, body={"message": "too old"}, times=1)
    deliver(pages, receiver, "gen-a")
    before = pages.get(path)
    assert "“too old”" in before
    assert "Replay 1 dead letter…" in before
    start(pages, path, "what=dead_letters")
    deliver(pages, receiver, "gen-b")
    assert "None. Every settled receipt was delivered" in pages.get(path)


def test_a_second_replay_is_refused_with_the_way_out(pages: Pages, path: str, receiver: Receiver) -> None:
    deliver(pages, receiver, "gen-a")
    start(pages, path, "what=hour&include_delivered=1")
    form = hidden(pages.get(f"{path}/replay?what=hour&include_delivered=1"))
    answer = pages.post(f"{path}/replay", form)
    assert answer.status_code == 409
    assert "A replay runs here already. Stop it, or wait until it ends." in answer.text


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("what=own&begin=2026-11-20T10:00&end=2026-11-20T09:00", "Enter a time after the first one."),
        ("what=own&begin=yesterday&end=2026-11-20T09:00", "Enter a day and a time."),
        ("what=receipt&receipt=unknown", "Not in this workspace, or no longer kept: unknown."),
        ("what=receipt", "Enter a receipt&#39;s id."),
    ],
)
def test_a_choice_that_is_wrong_is_said_and_cannot_be_sent(
    pages: Pages, path: str, question: str, words: str
) -> None:
    page = pages.get(f"{path}/replay?{question}")
    assert words in page
    assert re.search(r"disabled>Replay receipts<", page)
    assert faults(page) == []


def test_a_destination_that_is_off_says_how_to_go_on(pages: Pages, path: str) -> None:
    pages.post("/settings/observability/switch", {"enabled": "off"})
    assert "Broadcast is off in this workspace. Switch it on" in pages.get(f"{path}/replay")


def test_a_member_reads_the_proof_but_replays_nothing(pages: Pages, path: str) -> None:
    reader = member(pages, "member")
    page = reader.get(path)
    assert "Balances" in page
    assert "Replay…" not in page
    assert reader.client.get(reader.at(f"{path}/replay")).status_code == 403
