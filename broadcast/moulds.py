"""Requests of a kind become the same text but for their own values: it is written once, with places for them.

A mould is made of the spans that `genai` makes of places in place of values, so there is one definition of
what is said and no value of one request ever stands in another's text.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from broadcast import otlp
from broadcast.genai_attributes import Kind, kind_of
from broadcast.genai_measures import Measures, measures, values_of
from broadcast.otlp import Place, Template
from broadcast.receipt import Receipt
from broadcast.remembered import Remembered
from broadcast.span import ResourceSpans


class _Mould(msgspec.Struct, frozen=True, gc=False):
    """A text with places, which of a request's values go there, in order, and how many spans it is."""

    template: Template
    wanted: Callable[[Sequence[Any]], Sequence[Any]]
    spans: int


_known: Final[Remembered[tuple[object, ...], _Mould]] = Remembered()


class Moulds:
    """The texts of what `spans` makes of a kind and of values that it only hands on."""

    def __init__(self, spans: Callable[[Kind, Measures], ResourceSpans]) -> None:
        self._spans = spans

    def encoded(self, receipt: Receipt) -> tuple[bytes, int] | None:
        """Return the encoded spans of a receipt without content, and how many they are.

        None where they have to be made one by one.
        """
        kind, values = kind_of(receipt), values_of(receipt)
        parts, parameters, metadata = values.pop(), values.pop(), values.pop()
        values += metadata.values()
        values += parameters.values()
        for part in parts:
            values += astuple(part)
        key = (self, kind, *map(type, values), *metadata, *parameters)
        if parts:
            key += tuple(map(type, parts))
        mould = _known.get(key) or self._made(kind, measures(receipt), values, key)
        body = None if mould is None else mould.template.filled(mould.wanted(values))
        return None if mould is None or body is None else (body, mould.spans)

    def _made(
        self, kind: Kind, measured: Measures, values: Sequence[object], key: tuple[object, ...]
    ) -> _Mould | None:
        spans = self._spans(kind, _places(measured, values))
        cast = otlp.cast(spans)
        if cast is None:
            return None
        template, wanted = cast
        made = _Mould(template, itemgetter(*wanted), len(spans.spans))
        # Callers name some attributes themselves, and any of a kind's facts may be any text.
        if kind.is_short and template.is_short:
            _known.keep(key, made)
        return made


def _places(measured: Measures, values: Sequence[object]) -> Measures:
    """Return a request's measures with a place for each of its values."""
    places: Any = iter(
        [None if value is None else Place(index, type(value)) for index, value in enumerate(values)]
    )
    *own, metadata, parameters, parts = astuple(measured)
    # In the order in which the values stand.
    flat = [*islice(places, len(own))]
    named = [dict(zip(names, places, strict=False)) for names in (metadata, parameters)]
    made = tuple(type(part)(*islice(places, len(part.__struct_fields__))) for part in parts)
    return Measures(*[*flat, *named, made])
