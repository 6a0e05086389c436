import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broadcast.gateway import Answer, Api, Gateway, load_upstreams
from broadcast.gateway.slots import Slots
from broadcast.receipt import Receipt
from tests.broadcast.gateway import provider as told
from tests.broadcast.gateway.provider import Provider

Ask = Callable[..., Answer]
Chat = Callable[..., Answer]


@dataclass(frozen=True, kw_only=True)
class AKey:
    hash: str = "ab" * 32
    name: str = "My key"


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def provider() -> Iterator[Provider]:
    with told.running() as running:
        yield running


@pytest.fixture
def second() -> Iterator[Provider]:
    with told.running() as running:
        yield running


@pytest.fixture
def slots() -> Slots:
    return Slots(total=3, per_workspace=2)


@pytest.fixture
def gateway(provider: Provider, second: Provider, slots: Slots, tmp_path: Path) -> Gateway:
    file = tmp_path / "upstreams.yaml"
    file.write_text(f"""
providers:
  first: {{name: First, base_url: "{provider.url}", api_key: "${{FIRST_KEY}}", read_timeout_s: 1}}
  second: {{base_url: "{second.url}/"}}
  every: {{style: openrouter, base_url: "{provider.url}"}}
models:
  acme/one:
    providers:
      - {{provider: first, model: up, usd_per_million: {{input: 1.5, output: 6, cache_read: 0.5}}}}
      - {{provider: second}}
  acme/any:
    providers:
      - provider: every
        model: up
        usd_per_million: {{input: 2, output: 10, cache_read: 1, cache_write: 4}}
  acme/free:
    providers: [{{provider: second}}]
""")
    return Gateway(
        load_upstreams(file, {"FIRST_KEY": "sk-upstream"}, with_demo=True), "openrouter", now_us, slots
    )


@pytest.fixture
def build(provider: Provider, second: Provider, tmp_path: Path) -> Callable[..., Gateway]:
    """Return what makes a gateway over the two providers, with settings of the first and of the model."""

    def made(
        *,
        first: str = "{}",
        model: str = "",
        slots: Slots | None = None,
        clock: Callable[[], int] = now_us,
    ) -> Gateway:
        path = tmp_path / "upstreams.yaml"
        path.write_text(f"""
providers:
  first: {{<<: {first}, base_url: "{provider.url}"}}
  second: {{base_url: "{second.url}"}}
  claude: {{style: anthropic, base_url: "{second.url}", api_key: sk-ant}}
  every: {{style: openrouter, base_url: "{second.url}"}}
models:
  acme/one:
    {model}
    providers:
      - {{provider: first, usd_per_million: {{input: 10, output: 30}}}}
      - {{provider: second, usd_per_million: {{input: 1, output: 3}}}}
  acme/claude: {{providers: [{{provider: claude}}]}}
  acme/every: {{providers: [{{provider: every}}]}}
""")
        return Gateway(load_upstreams(path, {}, with_demo=False), "openrouter", clock, slots)

    return made


@pytest.fixture
def ask(gateway: Gateway) -> Ask:
    def ask(api: Api, fields: Any, headers: dict[str, str] | None = None, workspace_id: int = 1) -> Answer:
        return gateway.serve(
            api,
            fields if isinstance(fields, bytes) else json.dumps(fields).encode(),
            workspace_id=workspace_id,
            key=AKey(),
            headers=headers or {},
            now_us=now_us(),
        )

    return ask


@pytest.fixture
def chat(ask: Ask) -> Chat:
    def chat(headers: dict[str, str] | None = None, workspace_id: int = 1, **fields: Any) -> Answer:
        body = {"model": "acme/one", "messages": [{"role": "user", "content": "Hi"}], **fields}
        return ask("chat", body, headers, workspace_id)

    return chat


def read(answer: Answer) -> bytes:
    """Return the whole body, as a client that stays to the end gets it."""
    if isinstance(answer.body, bytes):
        return answer.body
    body = b"".join(answer.body)
    answer.body.close()
    return body


def receipt_of(answer: Answer) -> Receipt:
    """Return the receipt, which has to be readable again under every limit of the contract."""
    receipt = answer.receipt()
    assert msgspec.json.decode(msgspec.json.encode(receipt), type=Receipt) == receipt
    return receipt
