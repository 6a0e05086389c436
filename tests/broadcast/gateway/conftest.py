import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broadcast.gateway import Answer, Gateway, load_upstreams
from broadcast.gateway.slots import Slots
from tests.broadcast.gateway import provider as told
from tests.broadcast.gateway.provider import Provider

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
models:
  acme/one:
    providers:
      - {{provider: first, model: up, usd_per_million: {{input: 1.5, output: 6, cache_read: 0.5}}}}
      - {{provider: second}}
  acme/free:
    providers: [{{provider: second}}]
""")
    return Gateway(
        load_upstreams(file, {"FIRST_KEY": "sk-upstream"}, with_demo=True), "openrouter", now_us, slots
    )


@pytest.fixture
def chat(gateway: Gateway) -> Chat:
    def ask(headers: dict[str, str] | None = None, workspace_id: int = 1, **fields: Any) -> Answer:
        body = {"model": "acme/one", "messages": [{"role": "user", "content": "Hi"}], **fields}
        return gateway.serve(
            "chat",
            json.dumps(body).encode(),
            workspace_id=workspace_id,
            key=AKey(),
            headers=headers or {},
            now_us=now_us(),
        )

    return ask
