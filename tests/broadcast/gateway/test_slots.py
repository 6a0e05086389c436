"""How many requests may be under way."""

import pytest

from broadcast.errors import Unavailable
from broadcast.gateway.apis import APIS, Api
from broadcast.gateway.slots import Slots
from tests.broadcast.gateway.conftest import read, receipt_of
from tests.broadcast.gateway.provider import DONE, Provider
from tests.broadcast.gateway.two_providers import Build, send


@pytest.mark.parametrize("api", APIS)
def test_every_api_needs_a_slot(build: Build, api: Api) -> None:
    slots = Slots(total=1)
    gateway = build(slots=slots)
    give_back = slots.take(1)
    answer = send(gateway, api, model="acme/every")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert receipt_of(answer).status == "error"
    give_back()
    assert send(gateway, api, model="acme/every").status == 200


@pytest.mark.parametrize("api", [api for api in APIS if api != "embeddings"])
def test_a_stream_of_every_api_holds_a_slot_until_it_is_let_go(
    build: Build, second: Provider, api: Api
) -> None:
    second.answerer = lambda _, handler: handler.stream([b": wait\n\n", DONE])
    gateway = build(slots=Slots(total=1))
    first = send(gateway, api, model="acme/every", stream=True)
    assert send(gateway, api, model="acme/every", stream=True).status == 503
    read(first)
    assert send(gateway, api, model="acme/every", stream=True).status == 200


def test_as_many_slots_as_the_server_has_threads_to_spare() -> None:
    slots = Slots()
    for workspace_id in (1, 2, 3):
        for _ in range(128):
            slots.take(workspace_id)
        with pytest.raises(Unavailable, match="this workspace" if workspace_id < 3 else "Too many"):
            slots.take(workspace_id)
    with pytest.raises(Unavailable):
        slots.take(4)
