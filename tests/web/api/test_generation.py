"""The official SDKs at the real application: what was asked through any API, found again as a generation."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import openai
import pytest
from openrouter import OpenRouter, components, errors

from broadcast import guests
from broadcast.generation import upstream_id
from tests.receiver import Receiver
from tests.web.api import sdk
from tests.web.api.conftest import Api
from tests.web.api.destinations import created, delivered

Found = TypeVar("Found")
HELLO: Any = [{"role": "user", "content": "Hello"}]
OURS: Any = {"trace": {"trace_id": "run 7", "team": "ops"}, "session_id": "s-1", "user": "u-1"}


@pytest.fixture
def url(http: Api) -> Iterator[str]:
    with sdk.live(http.services) as address:
        yield address


@pytest.fixture
def client(http: Api, url: str) -> Iterator[OpenRouter]:
    with sdk.client(url, http.api_key) as made:
        yield made


@pytest.fixture
def gpt(http: Api, url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/api/v1", api_key=http.api_key, max_retries=0) as made:
        yield made


@pytest.fixture
def owed(http: Api) -> Iterator[None]:
    """A destination that sends content keeps it here until it has it."""
    with Receiver() as receiver:
        http.call("PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": True})
        created(http, receiver)
        yield


def soon(find: Callable[[], Found]) -> Found:
    """A receipt is stored when its client has the answer, so it is found a moment later."""
    until = time.monotonic() + 10
    while True:
        try:
            return find()
        except errors.NotFoundResponseError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def generation(client: OpenRouter, generation_id: str) -> components.GenerationResponseData:
    return soon(lambda: client.generations.get_generation(id=generation_id)).data


def content(client: OpenRouter, generation_id: str) -> components.GenerationContentData:
    return soon(lambda: client.generations.list_generation_content(id=generation_id)).data


def chat(client: OpenRouter) -> str:
    return str(client.chat.send(model="demo/echo", messages=HELLO, **OURS).id)


def chat_in_a_stream(client: OpenRouter) -> str:
    with client.chat.send(model="demo/echo", messages=HELLO, stream=True, **OURS) as stream:
        return str([chunk.id for chunk in stream][-1])


def respond(client: OpenRouter) -> str:
    return str(client.beta.responses.send(model="demo/echo", input="Hello", **OURS).id)


def respond_in_a_stream(client: OpenRouter) -> str:
    with client.beta.responses.send(model="demo/echo", input="Hello", stream=True, **OURS) as stream:
        *_, last = stream
    assert isinstance(last, components.StreamEventsResponseCompleted)
    return str(last.response.id)


def embed(client: OpenRouter) -> str:
    answer = client.embeddings.generate(model="demo/echo", input="Hello", **OURS)
    assert not isinstance(answer, str)
    assert answer.id
    return answer.id


@pytest.mark.parametrize(
    ("ask", "streamed"),
    [(chat, False), (chat_in_a_stream, True), (respond, False), (respond_in_a_stream, True), (embed, False)],
)
def test_what_the_openrouter_sdk_asked_is_found_as_a_generation(
    client: OpenRouter, http: Api, ask: Callable[[OpenRouter], str], streamed: bool
) -> None:
    generation_id = ask(client)
    found = generation(client, generation_id)
    assert (found.id, found.model, found.streamed) == (generation_id, "demo/echo", streamed)
    assert (found.external_user, found.session_id, found.workspace_id) == ("u-1", "s-1", http.workspace_uid)
    assert found.api_type == ("embeddings" if ask is embed else "completions")
    assert found.native_tokens_prompt == (1 if ask is embed else 5)
    assert found.total_cost == pytest.approx(0.00000015 if ask is embed else 5 * 0.15e-6 + 3 * 0.6e-6)
    assert found.provider_responses is not None
    assert [(tried.provider_name, tried.status) for tried in found.provider_responses] == [("Demo", 200)]


@pytest.mark.usefixtures("owed")
@pytest.mark.parametrize("ask", [chat, chat_in_a_stream])
def test_what_was_said_is_shown_to_the_key_that_asked(
    client: OpenRouter, ask: Callable[[OpenRouter], str]
) -> None:
    found = content(client, ask(client))
    assert isinstance(found.input, components.Input2)
    assert found.input.messages == HELLO
    assert (found.output.completion, found.output.reasoning, found.error) == ("You said: Hello", None, None)


@pytest.mark.usefixtures("owed")
@pytest.mark.parametrize("ask", [respond, respond_in_a_stream, embed])
def test_a_text_is_shown_as_a_prompt(client: OpenRouter, ask: Callable[[OpenRouter], str]) -> None:
    found = content(client, ask(client))
    assert isinstance(found.input, components.Input1)
    assert found.input.prompt == "Hello"
    assert found.output.completion == (None if ask is embed else "You said: Hello")


@pytest.mark.usefixtures("owed")
def test_a_failed_request_is_found_with_what_each_provider_said(client: OpenRouter) -> None:
    with pytest.raises(errors.OpenRouterError) as failed:
        client.chat.send(model="demo/fail", messages=HELLO, retries=None)
    told = failed.value.raw_response.json()["error"]["metadata"]["generation_id"]
    assert generation(client, told).cancelled is False
    error = content(client, told).error
    assert error is not None
    assert (error.status, error.provider_name) == (503, "Demo Down")
    assert [(tried.code, tried.message) for tried in error.previous_errors] == [
        (503, "The demo provider is down on purpose.")
    ]


def test_an_unknown_cost_is_said_to_be_unknown(http: Api, client: OpenRouter) -> None:
    with pytest.raises(errors.NotFoundResponseError) as failed:
        client.chat.send(model="demo/none", messages=HELLO)
    told = failed.value.raw_response.json()["error"]["metadata"]["generation_id"]
    found = generation(client, told)
    assert (found.total_cost, found.usage) == (0, 0)
    answer = http.call("GET", f"/api/v1/generation?id={told}", key=http.api_key)
    assert answer.get_json()["data"]["cost_known"] is False


@pytest.mark.usefixtures("owed")
def test_content_that_is_no_longer_kept_is_said_to_be_gone(http: Api, client: OpenRouter) -> None:
    generation_id = chat(client)
    content(client, generation_id)
    delivered(http)
    with http.services.store.write() as conn:
        assert guests.drop_contents(conn, workspace_id=1) == 1
    with pytest.raises(errors.NotFoundResponseError, match=r"no longer kept: .* 72 hours"):
        client.generations.list_generation_content(id=generation_id)


@pytest.mark.usefixtures("owed")
def test_another_api_key_does_not_see_what_was_said_and_a_management_key_does(
    http: Api, client: OpenRouter
) -> None:
    generation_id = chat(client)
    content(client, generation_id)
    other, _ = http.services.accounts.make_key(
        workspace_id=1, user_id=1, kind="api", name="Other", now_us=http.services.clock()
    )
    path = f"/api/v1/generation/content?id={generation_id}"
    assert http.call("GET", path, key=other).status_code == 403
    assert http.call("GET", path, key=http.management_key).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/generation", "/api/v1/generation/content"])
@pytest.mark.parametrize(("query", "status"), [("", 422), ("?id=", 422), ("?id=gen-0-none", 404)])
def test_a_generation_that_is_not_there(http: Api, path: str, query: str, status: int) -> None:
    answer = http.call("GET", path + query, key=http.api_key)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, status)


def test_a_request_without_content_says_so(client: OpenRouter) -> None:
    generation_id = chat(client)
    generation(client, generation_id)
    with pytest.raises(errors.NotFoundResponseError, match="kept without content"):
        client.generations.list_generation_content(id=generation_id)


def test_the_openrouter_sdk_lists_models(client: OpenRouter) -> None:
    page = client.models.list()
    assert page is not None
    assert [model.id for model in page.result.data] == ["demo/echo", "demo/flaky", "demo/fail", "demo/slow"]


@pytest.mark.parametrize("slug", ["echo", "echo:floor"])
def test_the_openrouter_sdk_reads_one_model(client: OpenRouter, slug: str) -> None:
    assert client.models.get(author="demo", slug=slug).data.id == "demo/echo"


def test_the_openai_sdk_speaks_responses(gpt: openai.OpenAI, client: OpenRouter) -> None:
    answer = gpt.responses.create(model="demo/echo", input="Hello", extra_body=OURS)
    assert answer.output_text == "You said: Hello"
    assert generation(client, answer.id).session_id == "s-1"


def test_a_response_is_found_by_the_name_its_provider_gave_it(
    gpt: openai.OpenAI, client: OpenRouter, http: Api
) -> None:
    answer = gpt.responses.create(model="demo/echo", input="Hello")
    theirs = generation(client, answer.id).upstream_id
    assert theirs
    assert upstream_id(http.services.store, 1, answer.id) == theirs
    assert upstream_id(http.services.store, 2, answer.id) is None
    again = gpt.responses.create(model="demo/echo", input="And?", previous_response_id=answer.id)
    assert again.output_text == "You said: And?"


def test_the_openai_sdk_streams_responses(gpt: openai.OpenAI) -> None:
    with gpt.responses.stream(model="demo/echo", input="Hello") as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert "".join(texts) == "You said: Hello"
        assert stream.get_final_response().id.startswith("gen-")


def test_the_openai_sdk_makes_embeddings(gpt: openai.OpenAI) -> None:
    answer = gpt.embeddings.create(model="demo/echo", input=["Hello", "there"], dimensions=16)
    assert [len(vector.embedding) for vector in answer.data] == [16, 16]
    assert answer.usage.prompt_tokens == 2
