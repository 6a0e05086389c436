"""What may be written in the file of providers and models; every error names the place and the fix."""

from typing import Annotated, Any, Final, TypeVar

import msgspec

from broadcast import declared_file
from broadcast.errors import ConfigError

SETTING: Final = "BROADCAST_UPSTREAMS"
_Price = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
_LongSeconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Word = TypeVar("_Word", bound=str)
_Form = TypeVar("_Form")


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class PricesForm(_Strict, frozen=True, kw_only=True):
    """USD a million tokens, by kind."""

    input: _Price
    output: _Price | None = None
    cache_read: _Price | None = None
    cache_write: _Price | None = None
    cache_write_1h: _Price | None = None
    input_audio: _Price | None = None
    input_image: _Price | None = None
    reasoning: _Price | None = None
    output_audio: _Price | None = None
    output_image: _Price | None = None


class ProviderForm(_Strict, frozen=True, kw_only=True):
    """One of `providers`."""

    base_url: str
    style: str = "openai"
    name: _Name | None = None
    api_key: str | None = None
    headers: dict[str, str] = {}
    apis: list[str] | None = None
    ask_usage: bool = True
    connect_timeout_s: _Seconds = 10
    headers_timeout_s: _Seconds | None = None
    read_timeout_s: _Seconds = 300
    total_timeout_s: _LongSeconds = 1800


class RouteForm(_Strict, frozen=True, kw_only=True):
    """One of a model's `providers`."""

    provider: str
    model: _Name | None = None
    usd_per_million: PricesForm | None = None
    usd_per_request: _Price | None = None


class ModelForm(_Strict, frozen=True, kw_only=True):
    """One of `models`."""

    providers: Annotated[list[RouteForm], msgspec.Meta(min_length=1)]
    name: _Name | None = None
    system: _Name | None = None
    context_length: Annotated[int, msgspec.Meta(ge=1)] | None = None
    profile: str | None = None
    fallback_on: list[str] | None = None


class FileForm(_Strict, frozen=True, kw_only=True):
    """The whole file; its parts are taken apart one by one, so that errors name them."""

    providers: dict[_Name, Any]
    models: dict[_Name, Any]
    profile: str | None = None
    fallback_on: list[str] | None = None


def declared(item: Any, form: type[_Form], place: str) -> _Form:
    """Return a part of the file as its form has it; raise `ConfigError`."""
    return declared_file.declared(SETTING, item, form, place)


def words_of(
    given: list[str] | None, among: tuple[_Word, ...], place: str, *, otherwise: frozenset[_Word]
) -> frozenset[_Word]:
    """Return a list of words; raise `ConfigError` for one that is not among those that mean something."""
    if given is None:
        return otherwise
    found = (word_of(one, among, f"{place}[{index}]") for index, one in enumerate(given))
    return frozenset(one for one in found if one is not None)


def word_of(given: str | None, among: tuple[_Word, ...], place: str) -> _Word | None:
    """Return a word, None for none; raise `ConfigError` when it is not among those that mean something."""
    if given is None or given in among:
        return next((word for word in among if word == given), None)
    raise wrong(f"{place} is {given!r}. Use one of {listed(among)}.")


def listed(words: tuple[str, ...]) -> str:
    """Return words as a sentence has them."""
    return ", ".join(words)


def wrong(message: str) -> ConfigError:
    """Return the error that stops the process."""
    return declared_file.wrong(SETTING, message)
