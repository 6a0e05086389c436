"""The form of a destination, made from its type's declaration; the door of wtforms."""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from wtforms import (
    BooleanField,
    Field,
    FloatField,
    Form,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    URLField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from broadcast.destination import Destination
from broadcast.fields import Spec, check
from broadcast.store.destinations import StoredDestination
from broadcast.store.keys import ApiKey

PREFIX: Final = "config-"
PRIVACY: Final = (
    (
        "metadata",
        "Metadata only",
        (
            "Model, provider, tokens, cost, timing, status, ids, user, session and your trace fields. "
            "No prompts, no completions, no tool arguments, no error texts."
        ),
    ),
    ("full", "Full content", "Also messages as they were sent and answered."),
)

# Plain strings are what wtforms 3.3 wants and what the published types do not know yet.
_LEVELS: Final[Any] = [level for level, _, _ in PRIVACY]


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


class DestinationForm(Form):
    """What every destination has; the declared settings are added by `destination_form`."""

    name = StringField(
        "Name", [InputRequired("Enter a name."), Length(max=100)], description="Shown in this workspace only."
    )
    privacy_level = RadioField("Privacy", choices=_LEVELS, default="metadata")
    sampling_percent = FloatField(
        "Share of sessions",
        [
            InputRequired("Enter a number from 0 to 100."),
            NumberRange(min=0, max=100, message="Enter a number from 0 to 100."),
        ],
        default=100.0,
        description="100 sends everything.",
    )
    api_key_hashes = KeysField(
        "Included",
        choices=[],
        validate_choice=False,
        description="None chosen: every key of this workspace, later ones too.",
    )
    excluded_api_key_hashes = KeysField(
        "Excluded", choices=[], validate_choice=False, description="Excluded wins over included."
    )

    def settings(self) -> list[Field]:
        """Return the declared fields, in the vendor's order."""
        return [field for field in self if field.name.startswith(PREFIX)]

    def body(self, slug: str) -> dict[str, Any]:
        """Return the body of create, test and PATCH; an empty secret is absent, so the stored one stays."""
        percent = self.sampling_percent.data
        share = percent if isinstance(percent, (int, float)) and math.isfinite(percent) else 100.0
        return {
            "type": slug,
            "name": (self.name.data or "").strip(),
            "config": {
                field.name.removeprefix(PREFIX): value
                for field in self.settings()
                if (value := _value(field)) is not _ABSENT
            },
            "privacy_level": self.privacy_level.data or "metadata",
            "sampling_rate": share / 100,
            "api_key_hashes": self.api_key_hashes.data or None,
            "excluded_api_key_hashes": self.excluded_api_key_hashes.data or None,
        }

    def conceal(self) -> None:
        """Forget what was entered as a secret, so that no page can hold it."""
        for field in self.settings():
            if isinstance(field, (PasswordField, TextAreaField)):
                field.data = None

    def place(self, problems: Mapping[str, str]) -> list[str]:
        """Put problems under their fields; return the sentences that belong to no field."""
        homeless = []
        for name, words in problems.items():
            bare = name.removeprefix("config.")
            home = {"sampling_rate": "sampling_percent", "privacy_mode": "privacy_level"}.get(bare, bare)
            field = self._fields.get(PREFIX + home) or self._fields.get(home)
            if field is None:
                homeless.append(f"{name}: {words}")
            else:
                field.errors = [words]
        return homeless


_ABSENT: Final = object()


def destination_form(
    cls: type[Destination],
    *,
    data: Any = None,
    stored: StoredDestination | None = None,
    keys: Iterable[ApiKey] = (),
    passed: bool = False,
) -> DestinationForm:
    """Return a type's form, filled from what is stored or from what was posted.

    With `passed` the secrets of a test that passed wait in the vault, so empty ones are no fault.
    """
    declared = {PREFIX + spec.outside: _field(spec, stored, passed) for spec in cls.specs()}
    made = cast("type[DestinationForm]", type("DeclaredForm", (DestinationForm,), declared))
    form = made(formdata=data, data=_filled(stored) if stored else None)
    offered = list(keys)
    for field in (form.api_key_hashes, form.excluded_api_key_hashes):
        field.offer(offered)
    return form


def _filled(stored: StoredDestination) -> dict[str, Any]:
    return {
        "name": stored.name,
        "privacy_level": stored.privacy_level,
        "sampling_percent": round(stored.sampling_rate * 100, 6),
        "api_key_hashes": list(stored.api_key_hashes or ()),
        "excluded_api_key_hashes": list(stored.excluded_api_key_hashes or ()),
        **{PREFIX + name: value for name, value in stored.config.items()},
    }


def _field(spec: Spec, stored: StoredDestination | None, passed: bool) -> Any:
    """Return the field of one setting: the declaration's own check is its only rule."""
    kept = stored is not None and spec.outside in stored.masks
    needed = spec.required and not kept and not (passed and spec.secret)
    rules: list[Any] = [InputRequired(f"Enter the {spec.label}.") if needed else Optional(), _Declared(spec)]
    shown: dict[str, Any] = {"label": spec.label, "validators": rules, "description": spec.help}
    if spec.kind == "choice":
        offered: Any = ([] if spec.required else [""]) + list(spec.choices)
        return SelectField(**shown, choices=offered, default=spec.default or "", validate_choice=False)
    if spec.kind == "flag":
        return BooleanField(spec.label, default=bool(spec.default), description=spec.help)
    kinds: dict[str, type[Field]] = {"url": URLField, "secret": PasswordField, "headers": TextAreaField}
    default = spec.default if isinstance(spec.default, str) else None
    return kinds.get(spec.kind, StringField)(**shown, default=default)


class _Declared:
    """A setting's own check, as a validator."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def __call__(self, form: Form, field: Field) -> None:
        del form
        value = parse_headers(field.data) if self.spec.kind == "headers" else field.data
        check(self.spec, value)


def _value(field: Field) -> Any:
    if isinstance(field, BooleanField):
        return bool(field.data)
    if not field.data:
        # An empty optional setting is removed, an empty secret keeps what is stored.
        return _ABSENT if isinstance(field, (PasswordField, TextAreaField)) else None
    if isinstance(field, TextAreaField):
        try:
            return parse_headers(field.data)
        except ValueError:
            return _ABSENT
    return field.data.strip()


def parse_headers(text: str) -> dict[str, str]:
    """Return headers from lines of `Name: value`; raise `ValueError` naming the line that is none."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not value.strip():
            raise ValueError(f"Line {number} is not a header. Write one a line, Name: value.")
        found[name.strip()] = value.strip()
    return found
