"""A process that is killed, stopped or held up, at its worst moment: nothing is lost, little comes twice."""

import signal

import pytest
import requests

from tests.chaos.program import eventually
from tests.faults.scene import Scene

# Each starts several processes, on whatever machine this is.
pytestmark = pytest.mark.timeout(300)

WORKER_PLACES = (
    "after_claim",
    "before_send",
    "after_answer",
    "record_before_commit",
    "record_after_commit",
)
WEB_PLACES = ("ingest_before_commit", "ingest_after_commit")
# Killed between the answer and its commit, a worker cannot know that its batch has arrived.
REPEATED = {"after_answer": 3, "record_before_commit": 3}


@pytest.mark.parametrize("place", WORKER_PLACES)
def test_a_worker_killed_at_a_named_place_loses_nothing(scene: Scene, place: str) -> None:
    scene.begin()
    victim = scene.program.start("worker-1", failpoint=place)
    scene.post(3)
    assert victim.wait(30) == 9
    scene.program.start("worker-1")
    scene.check(repeated=REPEATED.get(place, 0))


def test_what_comes_twice_has_the_same_ids(scene: Scene) -> None:
    scene.begin()
    victim = scene.program.start("worker-1", failpoint="after_answer")
    scene.post(2)
    assert victim.wait(30) == 9
    scene.program.start("worker-1")
    scene.check(repeated=2)
    spans = [(span.trace_id, span.span_id) for span in scene.spans()]
    assert len(scene.requests()) == 2
    assert spans[: len(spans) // 2] == spans[len(spans) // 2 :]


@pytest.mark.parametrize("place", WEB_PLACES)
def test_a_web_process_killed_while_it_stores_loses_nothing_it_acknowledged(scene: Scene, place: str) -> None:
    scene.begin()
    scene.program.kill("web-1")
    scene.program.start("web-1", failpoint=place)
    scene.program.wait_until_ready()
    ids = scene.ids(3)
    with pytest.raises(requests.ConnectionError):
        scene.program.post(ids)
    scene.program.kill("web-1")
    scene.program.start("web-1")
    scene.program.wait_until_ready()
    scene.program.start("worker-1")
    scene.post(3)
    scene.check()


def test_a_stopped_worker_finishes_what_is_in_flight_and_leaves_no_lease(scene: Scene) -> None:
    scene.begin("/slow/2")
    scene.program.start("worker-1")
    scene.post(2)
    assert eventually(scene.requests, 30)
    assert scene.program.terminate("worker-1") == 0
    assert scene.ledger()["delivered"] == 2
    # Nothing is left to wait for: the next worker sends the next receipt at once.
    scene.program.start("worker-1")
    scene.post()
    scene.check()


def test_a_stopped_worker_claims_nothing_more(scene: Scene) -> None:
    scene.begin("/slow/4")
    scene.program.start("worker-1")
    scene.post()
    assert eventually(scene.requests, 30)
    scene.program.signal("worker-1", signal.SIGTERM)
    scene.post()
    assert scene.program.running["worker-1"].wait(30) == 0
    assert scene.arrivals() == scene.posted[:1]
    scene.program.start("worker-1")
    scene.check()


def test_a_killed_worker_s_leases_are_free_at_once(scene: Scene) -> None:
    scene.begin("/slow/14")
    scene.program.start("worker-1")
    scene.program.wait_until_at_work("worker-1")
    scene.post(2)
    assert eventually(scene.requests, 8)
    # The second comes while the first waits for its answer.
    scene.program.start("worker-2")
    scene.program.wait_until_at_work("worker-2")
    scene.program.kill("worker-1")
    # The lease has about 30 s to run, and is prolonged while its holder lives.
    assert eventually(lambda: len(scene.requests()) == 2, 15)
    scene.check(repeated=2)


@pytest.mark.chaos
def test_a_stuck_worker_is_relieved_and_changes_nothing_when_it_wakes(scene: Scene) -> None:
    scene.begin("/slow/2")
    scene.program.start("worker-1")
    scene.post(2)
    assert eventually(scene.requests, 30)
    scene.program.signal("worker-1", signal.SIGSTOP)
    scene.program.start("worker-2")
    assert eventually(lambda: len(scene.requests()) == 2, 35), "nobody took over"
    assert scene.settled()
    ledger = scene.ledger()
    attempts = scene.program.attempts(scene.destination)
    scene.program.signal("worker-1", signal.SIGCONT)
    assert eventually(lambda: "action=attempt" in scene.program.log("worker-1"), 30)
    assert scene.ledger() == ledger
    assert scene.program.attempts(scene.destination) == attempts
    assert scene.program.terminate("worker-1") == 0
    scene.check(repeated=2)
