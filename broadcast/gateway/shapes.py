"""Every API's shape, by its name."""

from collections.abc import Mapping
from typing import Final

from broadcast.gateway.apis import Api
from broadcast.gateway.chat import Chat
from broadcast.gateway.embeddings import Embeddings
from broadcast.gateway.messages import Messages
from broadcast.gateway.responses import Responses
from broadcast.gateway.shape import Shape

SHAPES: Final[Mapping[Api, Shape]] = {
    shape.api: shape for shape in (Chat(), Messages(), Responses(), Embeddings())
}
