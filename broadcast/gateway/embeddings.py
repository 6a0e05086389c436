"""Embeddings: OpenAI's shape; what comes back are vectors, which no receipt keeps."""

from typing import Any, ClassVar

from msgspec import structs

from broadcast.gateway.apis import Api
from broadcast.gateway.plain import is_filled, plain
from broadcast.gateway.reading import Reading
from broadcast.gateway.shape import Fields, Shape
from broadcast.json_text import members
from broadcast.receipt import Usage


class Embeddings(Shape):
    """`POST /embeddings`."""

    api: ClassVar[Api] = "embeddings"
    streams: ClassVar[bool] = False

    def missing(self, fields: Fields) -> tuple[str, str] | None:
        """Return what is wrong with `input`."""
        if is_filled(fields.get("input")):
            return None
        return "input", "`input` must be text, or a list with at least one text or token."

    def asked(self, fields: Fields) -> Any:
        """Return what is to be embedded."""
        return {"input": plain(fields.get("input"))}

    def reading(self) -> Reading:
        """Return a reader of one answer."""
        return EmbeddingsReading()

    def broken(self, _reading: Reading, *, generation_id: str, model: str, message: str) -> bytes:  # noqa: ARG002 - no client reads it
        """Return nothing: embeddings do not stream, whatever a provider does."""
        return b""


class EmbeddingsReading(Reading):
    """One list of vectors."""

    @property
    def output(self) -> None:
        """Nothing that a person would read."""

    @property
    def usage(self) -> Usage | None:
        """The token counts; nothing is written, so that input alone makes the cost."""
        told = super().usage
        if told is None or told.output_tokens is not None:
            return told
        return structs.replace(told, output_tokens=0)

    def whole(self, document: Any) -> None:
        """Take in the list."""
        self.note(members(document))

    def chunk(self, document: Any) -> bool:
        """Take in a list that came as an event."""
        self.whole(document)
        return False
