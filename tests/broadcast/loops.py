"""Both event loops: Test Connection runs on asyncio's own, the worker on uvloop."""

import asyncio
from collections.abc import Iterator

import pytest
import uvloop


@pytest.fixture(autouse=True, params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy])
def both_loops(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let every test of a module that imports this meet both."""
    asyncio.set_event_loop_policy(request.param())
    yield
    asyncio.set_event_loop_policy(None)
