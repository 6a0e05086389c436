"""A variation: what destinations have in common when they get the same bytes for a receipt."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from msgspec import structs
from msgspec.json import decode, encode

from broadcast import genai, generation_groups, privacy, truncation
from broadcast.destination import Destination
from broadcast.genai_attributes import Kind
from broadcast.genai_measures import Measures
from broadcast.genai_names import SERVICE_NAME, SERVICE_VERSION
from broadcast.generation_groups import Groups
from broadcast.moulds import Moulds
from broadcast.privacy import Privacy
from broadcast.pseudonyms import Digest
from broadcast.receipt import Receipt
from broadcast.span import Attributes, ResourceSpans
from broadcast.store.destinations import StoredDestination

_OF_SERVICE: Final = (SERVICE_NAME, SERVICE_VERSION)
_SHARED: Final = ("encode", "join", "content_attributes", "resource_attributes")
"""What destinations of a kind do alike as long as their type does not say otherwise."""


class Variation:
    """How a destination's spans are made and encoded; what no receipt changes is settled once."""

    def __init__(
        self,
        stored: StoredDestination,
        destination: Destination,
        namespace: str,
        digest: Digest | None = None,
        *,
        max_bytes: int | None = None,
    ) -> None:
        kind = type(destination)
        own = kind.extra_attributes is not Destination.extra_attributes
        own_content = kind.content_attributes is not Destination.content_attributes
        shared = not own and all(getattr(kind, name) is getattr(Destination, name) for name in _SHARED)
        self._max_attribute_bytes = stored.tuned("max_attribute_bytes", destination.max_attribute_bytes)
        self._max_bytes = min(destination.max_bytes, max_bytes or destination.max_bytes)
        self._sure_bytes = truncation.sure_bytes(
            max_attribute_bytes=self._max_attribute_bytes, max_bytes=self._max_bytes
        )
        self._groups = Groups(
            cost=stored.broadcast_generation_cost,
            identity=stored.broadcast_generation_identity,
            request_context=stored.broadcast_generation_request_context,
            cost_allocation=stored.broadcast_generation_cost_allocation,
        )
        patterns = stored.redaction_patterns or ()
        self.sends_content: Final = privacy.wants_content(stored.privacy_level)
        self.privacy: Final = Privacy(stored.privacy_level, digest=digest, patterns=patterns)
        self._resource: Attributes = stored.resource_attributes or {}
        self._service = service_of(stored)
        self.key: Final[tuple[object, ...]] = (
            destination.encoding,
            stored.privacy_level,
            patterns,
            # As text: 1, 1.0 and True are equal to Python, and three kinds of attribute.
            encode(self._resource),
            destination.total_cost_attributes,
            destination.prompt_attributes,
            self._max_attribute_bytes,
            self._max_bytes,
            self._groups,
            # A request that one of them sends whole leaves out what no other one may get.
            stored.regions,
            # What is joined to one request is shared, too.
            stored.tuned("max_spans", destination.max_spans),
            destination.max_receipts(),
            # A type's own attributes, and its own API, may depend on its settings.
            None if shared else (stored.id, stored.version),
        )
        self._namespace = namespace
        self._own = destination.extra_attributes if own else None
        plain = shared and destination.encoding == "json" and not self._groups.any
        self._moulds = self._shared_moulds(destination) if plain else None
        self._encode: Callable[[ResourceSpans], bytes] = destination.encode
        self._options = genai.SpanOptions(
            content=self.sends_content,
            total_cost_attributes=destination.total_cost_attributes,
            prompt_attributes=destination.prompt_attributes,
            own_content=destination.content_attributes if own_content else None,
            max_attribute_bytes=self._max_attribute_bytes,
        )

    def encoded(self, receipt: Receipt, content: bytes | None, *, had_content: bool) -> tuple[bytes, int]:
        """Return the encoded spans and how many they are, within the destination's limit.

        Raise `ReceiptError` when not even ids, cost and tokens fit.
        """
        allowed = self.privacy.receipt(receipt)
        bare = content is None and allowed.input is None and allowed.output is None
        if bare and self._moulds is not None and not (had_content and self.sends_content):
            written = self._moulds.encoded(allowed)
            # What is longer has to be looked at, one value after the other.
            if written is not None and len(written[0]) <= self._sure_bytes:
                return written
        made = self._spans(allowed, content, had_content=had_content)
        body = truncation.within(
            made,
            encode=self._encode,
            max_attribute_bytes=self._options.max_attribute_bytes,
            max_bytes=self._max_bytes,
        )
        return body, len(made.spans)

    def _shared_moulds(self, destination: Destination) -> Moulds:
        resource, service = encode(self._resource), encode(self._service)
        return _moulds(self._namespace, destination.total_cost_attributes, resource, service)

    def _spans(self, allowed: Receipt, content: bytes | None, *, had_content: bool) -> ResourceSpans:
        """Privacy came first: a type's own attributes are made from what may leave."""
        extra: Attributes = dict(self._own(allowed)) if self._own else {}
        if self._groups.any:
            extra |= generation_groups.attributes(allowed, self._groups)
        if self.sends_content and had_content and content is None:
            extra[f"{self._namespace}.without_content"] = True
        made = genai.whole_spans(
            self.privacy.with_content(allowed, content),
            namespace=self._namespace,
            options=structs.replace(self._options, extra=extra) if extra else self._options,
        )
        return _with_resource(made, self._resource, self._service)


@lru_cache(maxsize=256)
def _moulds(namespace: str, total_cost: bool, resource: bytes, service: bytes) -> Moulds:
    options = genai.SpanOptions(total_cost_attributes=total_cost)

    def spans(kind: Kind, measured: Measures) -> ResourceSpans:
        made = genai.measured_spans(kind, measured, namespace=namespace, options=options)
        return _with_resource(made, decode(resource), decode(service))

    return Moulds(spans)


def _with_resource(made: ResourceSpans, resource: Attributes, service: Attributes) -> ResourceSpans:
    """Ours come last: what somebody adds to a resource never takes the place of what we say there."""
    if not resource:
        return made
    return structs.replace(made, resource={**resource, **made.resource, **service})


def service_of(stored: StoredDestination) -> Attributes:
    """Return what the service is called where that is said otherwise, which the operator alone does."""
    added = stored.resource_attributes or {}
    names = _OF_SERVICE if stored.origin == "operator" else ()
    return {name: added[name] for name in names if name in added}
