"""What a newcomer does in the first minute: start, paste the printed curl, look."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

import openai
import requests
from openai.types.chat import ChatCompletionUserMessageParam

from tests.e2e.conftest import Served

HELLO: ChatCompletionUserMessageParam = {"role": "user", "content": "Say hello"}


def eventually(probe: Callable[[], Any], *, within_s: float = 60) -> Any:
    """Return the first true answer of `probe`."""
    deadline = time.monotonic() + within_s
    while True:
        answer = probe()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def delivered(served: Served, receipt_id: str) -> dict[str, Any] | None:
    """Return the generation's record once it is known."""
    answer = requests.get(
        f"{served.url}/api/v1/generation",
        params={"id": receipt_id},
        headers={"Authorization": f"Bearer {served.api_key}"},
        timeout=5,
    )
    record: dict[str, Any] | None = answer.json()["data"] if answer.status_code == 200 else None
    return record


def log_in(served: Served) -> requests.Session:
    """Return a logged-in browser without a screen."""
    session = requests.Session()
    page = session.get(f"{served.url}/login", timeout=5).text
    token = page.split('name="csrf_token"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
    form = {"email": served.email, "password": served.password, "csrf_token": token}
    answer = session.post(f"{served.url}/login", data=form, timeout=5)
    assert answer.status_code == 200, answer.text[:500]
    return session


def test_the_printed_curl_is_traced_to_the_receiver_and_shown_in_activity(served: Served) -> None:
    browser = log_in(served)

    printed = subprocess.run(
        ["bash", "-c", f"{served.curl} -s"], capture_output=True, text=True, check=True, timeout=30
    ).stdout

    assert '"id": "gen-' in printed or '"id":"gen-' in printed
    receipt_id = "gen-" + printed.split("gen-", 1)[1].split('"', 1)[0]
    receiver = eventually(
        lambda: (
            page
            if receipt_id in (page := browser.get(f"{served.url}/w/demo/receiver", timeout=5).text)
            else ""
        )
    )
    assert "first-trace" in receiver
    assert receipt_id in browser.get(f"{served.url}/w/demo/activity", timeout=5).text


def test_the_openai_sdk_needs_nothing_but_another_base_url(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/api/v1", api_key=served.api_key) as client:
        answer = client.chat.completions.create(
            model="demo/echo", messages=[HELLO], extra_body={"trace": {"trace_name": "from-the-sdk"}}
        )

    assert answer.id.startswith("gen-")
    assert answer.choices[0].message.content
    assert eventually(lambda: delivered(served, answer.id))


def test_the_openai_sdk_streams(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/api/v1", api_key=served.api_key) as client:
        chunks = list(client.chat.completions.create(model="demo/echo", messages=[HELLO], stream=True))

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    record = eventually(lambda: delivered(served, chunks[0].id))
    assert record["streamed"] is True


def test_a_failed_first_provider_is_followed_by_the_second(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/api/v1", api_key=served.api_key) as client:
        answer = client.chat.completions.create(model="demo/flaky", messages=[HELLO])

    assert answer.choices[0].message.content
