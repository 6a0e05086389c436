"""The APIs a client may speak, and the path of each below a base URL: a provider's, and our own."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

Api = Literal["chat", "messages", "responses", "embeddings"]

APIS: Final[tuple[Api, ...]] = get_args(Api)
PATHS: Final[Mapping[Api, str]] = {
    "chat": "/chat/completions",
    "messages": "/messages",
    "responses": "/responses",
    "embeddings": "/embeddings",
}
