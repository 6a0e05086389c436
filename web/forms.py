"""The form of a destination, made from its type's declaration; the door of wtforms."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from wtforms import (
    BooleanField,
    Field,
    FloatField,
    Form,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    URLField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs are older
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError

from broadcast.destination import Destination
from broadcast.fields import Spec
from broadcast.setting_checks import check
from broadcast.store.destinations import StoredDestination
from broadcast.store.keys import ApiKey
from web import filter_rules
from web.form_fields import (
    ABSENT,
    AttributesField,
    HeadersField,
    KeysField,
    PatternsField,
    RegionsField,
    RulesField,
    SwitchField,
    in_words,
    written,
)

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
    (
        "hashed",
        "Hashed content",
        (
            "The same facts; messages, tool calls, user, session and trace values as keyed hashes. Equal "
            "values have equal hashes, in this workspace alone: they can be counted and joined, not read. "
            "No error texts."
        ),
    ),
    (
        "redacted",
        "Redacted content",
        (
            "Messages, tool calls, error texts and trace values, with [email] and so on in the place of "
            "e-mail addresses, phone numbers, payment cards, IBANs, keys and tokens, and of what your own "
            "patterns match. Names, and whatever has no known form, do leave."
        ),
    ),
    ("full", "Full content", "Also messages as they were sent and answered, and error texts."),
)
SAMPLERS: Final = (
    ("", "By session, a share of them"),
    ("always_on", "Every trace"),
    ("always_off", "No trace"),
    ("traceidratio", "By trace, a share of them"),
    ("parentbased_always_on", "As the caller's traceparent says, else every trace"),
    ("parentbased_always_off", "As the caller's traceparent says, else no trace"),
    ("parentbased_traceidratio", "As the caller's traceparent says, else a share of traces"),
)
GROUPS: Final = (
    (
        "broadcast_generation_cost",
        "Cost",
        "What was charged, the provider's own price, whether your own key paid, whether it is an estimate.",
    ),
    (
        "broadcast_generation_cost_allocation",
        "Cost by kind of token",
        "Tokens and cost of input and of output, where the two costs add up exactly to what was charged.",
    ),
    (
        "broadcast_generation_identity",
        "Identity",
        (
            "API key name and hash, app title and site, origin, user, session and request ids. "
            "Metadata only does not take these away."
        ),
    ),
    (
        "broadcast_generation_request_context",
        "Request context",
        "API type, streaming, region, user agent, finish reasons, first token, duration, token counts.",
    ),
)
REGIONS: Final = (
    ("global", "Global", "Requests that are bound to no region."),
    ("europe", "European Union", "Requests whose region is europe or eu."),
    ("us", "United States", "Requests whose region is us."),
)

_SHARE: Final = "Enter a number from 0.01 to 100."
# Plain strings are what wtforms 3.3 wants and what the published types do not know yet.
_LEVELS: Final[Any] = [level for level, _, _ in PRIVACY]
_SAMPLERS: Final[Any] = [name for name, _ in SAMPLERS]
_REGIONS: Final[Any] = [region for region, _, _ in REGIONS]


class DestinationForm(Form):
    """What every destination has; the declared settings are added by `destination_form`."""

    name = StringField(
        "Name",
        [InputRequired("Enter a name."), Length(max=100, message="Enter a name of 1 to 100 characters.")],
        description="Shown in this workspace only.",
    )
    enabled = SwitchField("Deliver to this destination", default=True)
    privacy_level = RadioField("Privacy", choices=_LEVELS, default="metadata")
    broadcast_generation_cost = SwitchField(GROUPS[0][1])
    broadcast_generation_cost_allocation = SwitchField(GROUPS[1][1])
    broadcast_generation_identity = SwitchField(GROUPS[2][1])
    broadcast_generation_request_context = SwitchField(GROUPS[3][1])
    sampling_percent = FloatField(
        "Share of sessions",
        [InputRequired(_SHARE), NumberRange(min=0.01, max=100, message=_SHARE)],
        default=100.0,
    )
    redaction_patterns = PatternsField(
        "Your own patterns",
        description="Regular expressions, one a line, for Redacted content. What they match is replaced.",
    )
    sampler = SelectField("Who is kept", choices=_SAMPLERS, default="", validate_choice=False)
    resource_attributes = AttributesField(
        "Resource attributes",
        description="name=value, one a line, such as deployment.environment.name=staging.",
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
    regions = RegionsField(
        "Regions", [DataRequired("Tick one region at least.")], choices=_REGIONS, default=["global"],
        validate_choice=False,
    )  # fmt: skip
    filter_rules = RulesField("Filter rules")

    def settings(self) -> list[Field]:
        """Return the declared fields, in the vendor's order."""
        return [field for field in self if field.name.startswith(PREFIX)]

    def headers(self) -> HeadersField | None:
        """Return the field of the extra headers, where the type takes any."""
        return next((field for field in self if isinstance(field, HeadersField)), None)

    def body(self, slug: str) -> dict[str, Any]:
        """Return the body of create, test and PATCH; an empty secret is absent, so the stored one stays."""
        percent = self.sampling_percent.data
        share = percent if isinstance(percent, (int, float)) and math.isfinite(percent) else 100.0
        return {
            "type": slug,
            "name": (self.name.data or "").strip(),
            "enabled": bool(self.enabled.data),
            "config": {
                field.name.removeprefix(PREFIX): value
                for field in self.settings()
                if (value := _value(field)) is not ABSENT
            },
            "privacy_level": self.privacy_level.data or "metadata",
            **{name: bool(self._fields[name].data) for name, _, _ in GROUPS},
            "redaction_patterns": self.redaction_patterns.value(),
            "sampler": self.sampler.data or None,
            "sampling_rate": round(share / 100, 12),
            "resource_attributes": self.resource_attributes.value(),
            "api_key_hashes": self.api_key_hashes.data or None,
            "excluded_api_key_hashes": self.excluded_api_key_hashes.data or None,
            "regions": self.regions.data,
            "filter_rules": filter_rules.document(self.filter_rules.data),
        }

    def change(self, action: str) -> None:
        """Add or remove a row, as a button of the page asks."""
        headers = self.headers()
        if headers is not None and action.partition("-")[2].startswith("header"):
            headers.change(action)
        else:
            self.filter_rules.data = filter_rules.acted(self.filter_rules.data, action)

    def holds_secrets(self) -> bool:
        """Whether a secret was entered, so that what is posted is not only what was tested."""
        return any(
            any(row.value for row in field.rows) if isinstance(field, HeadersField) else bool(field.data)
            for field in self.settings()
            if isinstance(field, (PasswordField, HeadersField))
        )

    def conceal(self) -> None:
        """Forget what was entered as a secret, so that no page can hold it."""
        for field in self.settings():
            if isinstance(field, PasswordField):
                field.data = None
            elif isinstance(field, HeadersField):
                field.conceal()

    def place(self, problems: Mapping[str, str]) -> list[str]:
        """Put problems under their fields; return the sentences that belong to no field."""
        homeless = []
        for name, words in problems.items():
            bare = name.removeprefix("config.")
            home = {"sampling_rate": "sampling_percent", "privacy_mode": "privacy_level"}.get(bare, bare)
            field = self._fields.get(PREFIX + home) or self._fields.get(home)
            if field is None:
                homeless.append(words if not name else f"{name}: {words}")
            else:
                field.errors = [words]
        return homeless

    def first_wrong(self) -> str:
        """Return the name of the first field that is wrong on the page, empty when none is."""
        order = [self.name, *self.settings(), *(field for field in self if field is not self.name)]
        return next((str(field.name) for field in order if field.errors), "")


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
    headers = {PREFIX + name: mask for name, mask in stored.masks.items() if isinstance(mask, Mapping)}
    return {
        "name": stored.name,
        "enabled": stored.enabled,
        "privacy_level": stored.privacy_level,
        **{name: getattr(stored, name) for name, _, _ in GROUPS},
        "redaction_patterns": "\n".join(stored.redaction_patterns or ()),
        "sampler": stored.sampler or "",
        "resource_attributes": written(stored.resource_attributes or {}),
        "sampling_percent": round(stored.sampling_rate * 100, 6),
        "api_key_hashes": list(stored.api_key_hashes or ()),
        "excluded_api_key_hashes": list(stored.excluded_api_key_hashes or ()),
        "regions": list(stored.regions),
        "filter_rules": stored.filter_rules,
        **{PREFIX + name: value for name, value in stored.config.items()},
        **headers,
    }


def _field(spec: Spec, stored: StoredDestination | None, passed: bool) -> Any:
    """Return the field of one setting: the declaration's own check is its only rule."""
    kept = stored is not None and spec.outside in stored.masks
    needed = spec.required and not kept and not (passed and spec.secret)
    rules: list[Any] = [InputRequired(f"Enter the {spec.label}.") if needed else Optional(), _Declared(spec)]
    shown: dict[str, Any] = {"label": spec.label, "validators": rules, "description": spec.help}
    if spec.kind == "choice":
        offered: Any = ([] if spec.required else [""]) + list(spec.choices)
        if spec.default:
            offered.remove("")
        named: Any = [SelectChoice(value, in_words(value)) for value in offered]
        return SelectField(**shown, choices=named, default=spec.default or "", validate_choice=False)
    if spec.kind == "flag":
        return SwitchField(spec.label, default=bool(spec.default), description=spec.help)
    if spec.kind == "headers":
        return HeadersField(spec.label, [_DeclaredHeaders(spec, passed=passed)], description=spec.help)
    kinds: dict[str, type[Field]] = {"url": URLField, "secret": PasswordField}
    default = spec.default if isinstance(spec.default, str) else None
    return kinds.get(spec.kind, StringField)(**shown, default=default)


class _Declared:
    """A setting's own check, as a validator."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def __call__(self, form: Form, field: Field) -> None:
        del form
        _judge(self.spec, field.data)


class _DeclaredHeaders:
    """The check of headers: every row has a name and a value of its own, a stored or a tested one."""

    def __init__(self, spec: Spec, *, passed: bool) -> None:
        self.spec = spec
        self.passed = passed

    def __call__(self, form: Form, field: HeadersField) -> None:
        del form
        rows = field.filled()
        names = [row.name.lower() for row in rows]
        if len(set(names)) < len(names):
            raise ValidationError("A header is given twice.")
        for row in rows:
            if not row.name:
                raise ValidationError("Enter the name of each header.")
            if not (row.value or row.mask or self.passed):
                raise ValidationError(f"Enter the value of {row.name}.")
            _judge(self.spec, {row.name: row.value or "kept"})


def _judge(spec: Spec, value: Any) -> None:
    """Let the declaration's check speak; wtforms takes no other error from a validator."""
    try:
        check(spec, value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _value(field: Field) -> Any:
    if isinstance(field, HeadersField):
        return field.value()
    if isinstance(field, BooleanField):
        return bool(field.data)
    if not field.data:
        # An empty optional setting is removed, an empty secret keeps what is stored.
        return ABSENT if isinstance(field, PasswordField) else None
    return field.data.strip()
