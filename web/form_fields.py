"""The fields of the form of a destination that are more than one input, or may leave a setting as it is."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, Final

from wtforms import BooleanField, Field, SelectMultipleField, TextAreaField

from broadcast import additions
from broadcast.store.keys import ApiKey
from web import filter_rules
from web.filter_rules import RuleSet

ABSENT: Final = object()
"""What a field says that leaves a setting as it is."""


_WORDS: Final[Mapping[str, str]] = {
    "access_keys": "Access keys",
    "aws": "Amazon S3",
    "batch": "Many at once",
    "cloudflare_r2": "Cloudflare R2",
    "eu": "EU",
    "gcs": "Google Cloud Storage",
    "grpc": "gRPC",
    "gzip": "gzip",
    "iam_role": "IAM role",
    "json": "JSON",
    "none": "None",
    "off": "Off",
    "other": "Another",
    "protobuf": "Protobuf",
    "receipt": "One for each request",
    "single": "One for each request",
    "us": "US",
    "10s": "Every 10 seconds",
    "30s": "Every 30 seconds",
    "60s": "Every minute",
    "5m": "Every 5 minutes",
    "15m": "Every 15 minutes",
    "1h": "Every hour",
}
"""What a choice is called; what is missing is a name of the vendor's own, and shown as it is."""


def in_words(choice: str) -> str:
    """Return a choice of a setting as people say it."""
    return _WORDS.get(choice, choice)


class SwitchField(BooleanField):
    """On or off; a form that does not mention it leaves it as it is."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Read the last value: a hidden "off" stands before the box that says "on"."""
        if valuelist:
            self.data = valuelist[-1] == "on"


class KeysField(SelectMultipleField):
    """Keys chosen by their hashes; `names` says how each is called."""

    names: Mapping[str, str] = MappingProxyType({})

    def offer(self, keys: Iterable[ApiKey]) -> None:
        """Offer the workspace's keys, and those that are chosen and revoked since."""
        known = {key.hash: f"{key.name} {key.label}" for key in keys}
        revoked = {mark: f"a revoked key {mark[:8]}…" for mark in self.data or [] if mark not in known}
        self.names = known | revoked
        offered: Any = list(self.names)
        self.choices = offered


class RegionsField(SelectMultipleField):
    """Regions, at least one; a form that does not mention them leaves them as they are."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Read what was ticked behind the hidden empty one."""
        if valuelist:
            self.data = [value for value in valuelist if value]


@dataclass(frozen=True, kw_only=True)
class HeaderRow:
    """One header: its name, its value as entered, and the mask of the value that is stored."""

    name: str = ""
    value: str = ""
    mask: str = ""


class HeadersField(Field):
    """Headers as rows of name and secret value; an empty value keeps the stored one of that name."""

    rows: tuple[HeaderRow, ...] = ()

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        """Read the rows of a post, else show what is stored; `data` maps stored names to masks."""
        del extra_filters
        self.process_errors = []
        self.data = kept = data if isinstance(data, Mapping) else {}
        posted = formdata is not None and formdata.getlist(self.name) == ["rows"]
        self.rows = tuple(HeaderRow(name=name, mask=mask) for name, mask in kept.items())
        if not posted:
            return
        masks = {name.lower(): mask for name, mask in kept.items()}
        names, values = (formdata.getlist(f"{self.name}-{part}") for part in ("name", "value"))
        self.rows = tuple(
            HeaderRow(name=name.strip(), value=value.strip(), mask=masks.get(name.strip().lower(), ""))
            for name, value in zip_longest(names, values, fillvalue="")
        )

    def change(self, action: str) -> None:
        """Add an empty row, or remove one, as a button of the page asks."""
        if action == "add-header":
            self.rows = (*self.rows, HeaderRow())
        else:
            self.rows = tuple(
                row for place, row in enumerate(self.rows) if action != f"remove-header-{place}"
            )

    def filled(self) -> list[HeaderRow]:
        """Return the rows that are not empty."""
        return [row for row in self.rows if row.name or row.value]

    def value(self) -> Any:
        """Return the setting: a stored value is named by its mask, and no rows remove what was stored."""
        rows = self.filled()
        if not rows:
            return None if self.data else ABSENT
        return {row.name: row.value or row.mask for row in rows}

    def names_of(self) -> str:
        """Return the names in order, so that a passed test is known to be about these."""
        return ",".join(row.name for row in self.filled())

    def conceal(self) -> None:
        """Forget what was entered."""
        self.rows = tuple(HeaderRow(name=row.name, mask=row.mask) for row in self.rows)


class PatternsField(TextAreaField):
    """Regular expressions, one a line."""

    def value(self) -> list[str] | None:
        """Return the setting, None for no patterns."""
        return _lines(self.data) or None

    def post_validate(self, form: Any, validation_stopped: Any) -> None:
        """Let the setting's own check speak."""
        del form, validation_stopped
        _speak(self, additions.read_patterns)


class AttributesField(TextAreaField):
    """Names and values, `name=value` one a line; a value is a text unless it is written as JSON."""

    def value(self) -> dict[str, Any] | None:
        """Return the setting, None for no attributes."""
        return {
            name.strip(): _typed(text.strip()) for name, _, text in map(_parted, _lines(self.data))
        } or None

    def post_validate(self, form: Any, validation_stopped: Any) -> None:
        """Let the setting's own check speak."""
        del form, validation_stopped
        _speak(self, additions.read_attributes)


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition("=")


def _typed(text: str) -> Any:
    """Return a number, true or false, or a quoted text as JSON has it, else the text itself."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | str) else text


def written(attributes: Mapping[str, Any]) -> str:
    """Return attributes as a person would write them, so that each is read as what it is."""
    return "\n".join(
        f"{name}={value if _is_read_as_itself(value) else json.dumps(value)}"
        for name, value in attributes.items()
    )


def _is_read_as_itself(value: Any) -> bool:
    return isinstance(value, str) and value == value.strip() and _typed(value) == value


def _speak(field: Any, check: Callable[[Any], Any]) -> None:
    try:
        check(field.value())
    except ValueError as error:
        field.errors = [str(error)]


class RulesField(Field):
    """Filter rules as rows; `data` is a `RuleSet`."""

    data: RuleSet

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        """Read the rows of a post, else what is stored."""
        del extra_filters
        self.process_errors = []
        stored = filter_rules.from_document(data if isinstance(data, Mapping) else None)
        shown = formdata is not None and "rules" in formdata
        self.data = filter_rules.from_post(formdata) if shown else stored

    def post_validate(self, form: Any, validation_stopped: Any) -> None:
        """Put what is wrong at its rule."""
        del form, validation_stopped
        self.data = filter_rules.judged(self.data)
        if self.data.wrong:
            self.errors = ["Some filter rules need a correction."]
