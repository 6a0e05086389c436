"""Requests of a kind become the same text but for their own values: it is written once, with places for them.

A mould is made of the spans that `genai` makes of places in place of values, so there is one definition of
what is said and no value of one request ever stands in another's text.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec

from broadcast import otlp
from broadcast.genai_attributes import Kind, kind_of
from broadcast.genai_measures import Measures, measures
from broadcast.otlp import Place, Template
from broadcast.receipt import Receipt
from broadcast.span import ResourceSpans

_MAX_MOULDS: Final = 1024


class _Mould(msgspec.Struct, frozen=True, gc=False):
    """A text with places, and which of a request's values go there, in order."""

    template: Template
    wanted: Callable[[Sequence[Any]], Sequence[Any]]


_known: Final[dict[tuple[object, ...], _Mould]] = {}


class Moulds:
    """The texts of what `spans` makes of a kind and of values that it only hands on."""

    def __init__(self, spans: Callable[[Kind, Measures], ResourceSpans]) -> None:
        self._spans = spans

    def text(self, receipt: Receipt) -> bytes | None:
        """Return the encoded spans of a receipt, None where these have to be made one by one."""
        kind, measured = kind_of(receipt), measures(receipt)
        *values, metadata, parameters = measured
        values += metadata.values()
        values += parameters.values()
        key = (self, kind, *map(type, values), *metadata, *parameters)
        mould = _known.get(key) or self._made(kind, measured, values, key)
        return None if mould is None else mould.template.filled(mould.wanted(values))

    def _made(
        self, kind: Kind, measured: Measures, values: Sequence[object], key: tuple[object, ...]
    ) -> _Mould | None:
        places = [None if value is None else Place(index, type(value)) for index, value in enumerate(values)]
        own = len(measured) - 2
        named = iter(places[own:])
        metadata = dict(zip(measured.metadata, named, strict=False))
        parameters = dict(zip(measured.parameters, named, strict=False))
        cast = otlp.cast(self._spans(kind, Measures._make((*places[:own], metadata, parameters))))
        if cast is None:
            return None
        template, wanted = cast
        made = _Mould(template, itemgetter(*wanted))
        # Callers name some attributes themselves, and any of a kind's facts may be any text.
        if kind.is_short and template.is_short:
            if len(_known) >= _MAX_MOULDS:
                _known.clear()
            _known[key] = made
        return made
