"""What a destination should be: the body of create and PATCH, checked, and merged with what is stored."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from broadcast import additions, filters, privacy, sampling
from broadcast.destination import Destination
from broadcast.errors import SecretRequired, SettingsError
from broadcast.fields import is_masked
from broadcast.store.destinations import StoredDestination

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_FLAGS: Final = (
    "broadcast_generation_cost",
    "broadcast_generation_identity",
    "broadcast_generation_request_context",
    "broadcast_generation_cost_allocation",
)
_KEY_LISTS: Final = ("api_key_hashes", "excluded_api_key_hashes")
FIELDS: Final = frozenset(
    (
        "type", "name", "enabled", "config", "workspace_id", "sampling_rate", "privacy_mode", "privacy_level",
        "filter_rules", "regions", "sampler", "resource_attributes", "redaction_patterns",
        *_KEY_LISTS, *_FLAGS,
    )
)  # fmt: skip
"""What a body may hold."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "enabled": True,
    "privacy_level": "full",
    "sampling_rate": 1.0,
    "api_key_hashes": None,
    "excluded_api_key_hashes": None,
    "filter_rules": None,
    "regions": ("global",),
    "sampler": None,
    "resource_attributes": None,
    "redaction_patterns": None,
    **dict.fromkeys(_FLAGS, False),
}
"""What a new destination is where its body does not say."""

_T = TypeVar("_T", bound=Destination)


def changes(
    body: Mapping[str, Any], stored: StoredDestination | None, kind: type[Destination] | None = None
) -> dict[str, Any]:
    """Return all of a body except `type` and `config`, as columns; a new one gets defaults.

    `kind` is its type, where what only some types have is to be refused.

    Raises `SettingsError` naming every field that is missing, unknown or wrong.
    """
    problems = {str(name): "Unknown field." for name in body.keys() - FIELDS}
    found: dict[str, Any] = dict(DEFAULTS) if stored is None else {}
    for name, read in _READERS.items():
        if name not in body:
            continue
        try:
            found[name] = read(body[name])
        except ValueError as error:
            problems[name] = str(error)
    if stored is None and "name" not in found and "name" not in problems:
        problems["name"] = "Enter a name."
    if stored is not None and body.get("type", stored.type) != stored.type:
        problems["type"] = "The type of a destination cannot change."
    if found.get("resource_attributes") and kind is not None and kind.has_own_api():
        problems["resource_attributes"] = (
            f"{kind.title} has an API of its own, where nothing is said of a resource. Leave this out."
        )
    if not problems:
        try:
            _read_privacy(body, found)
        except ValueError as error:
            problems["privacy_mode" if "privacy_mode" in body else "privacy_level"] = str(error)
    if problems:
        raise SettingsError(problems)
    return found


def unsaved(workspace_id: int, slug: str, columns: Mapping[str, Any]) -> StoredDestination:
    """Return what would be stored, for a look at what it would send.

    Its sample depends on the id that it does not have yet: whatever the share is, everything is in it.
    """
    values = {
        "id": 0,
        "uid": "",
        "workspace_id": workspace_id,
        "type": slug,
        "config": {},
        "masks": {},
        "sealed": b"",
        "address": (),
        "version": 0,
        "origin": "user",
        "paused_by": None,
        "pause_reason": None,
        "paused_at_us": None,
        "created_at_us": 0,
        "updated_at_us": 0,
    }
    return StoredDestination(**{**values, **columns, "sampling_rate": 1.0, "sampler": None})


def config_of(body: Mapping[str, Any], cls: type[Destination], workspace_uid: str) -> Mapping[str, Any]:
    """Return the `config` of a body with what is not for it to say, or raise `SettingsError`."""
    config = body.get("config", {})
    if not isinstance(config, Mapping):
        raise SettingsError({"config": "Enter an object."})
    return {**config, **cls.assigned(config, workspace_uid)}


def merge(
    cls: type[_T], stored: StoredDestination, secrets: Mapping[str, Any], patch: Mapping[str, Any]
) -> _T:
    """Return the destination after a PATCH: absent keeps, null removes, a mask counts as absent.

    Raises `SecretRequired` when a mask stands for a secret that could not be opened.
    """
    lost = tuple(
        sorted(name for name in stored.masks.keys() & patch.keys() - secrets.keys() if _keeps(patch[name]))
    )
    if lost:
        raise SecretRequired(lost)
    merged: dict[str, Any] = {**stored.config, **secrets}
    for name, value in patch.items():
        if isinstance(value, Mapping):
            merged[name] = _headers(value, merged.get(name))
        elif value is None:
            merged.pop(name, None)
        elif not is_masked(value):
            merged[name] = value
    return cls.parse(merged)


def require_fresh_secrets(
    cls: type[Destination], stored: StoredDestination, patch: Mapping[str, Any]
) -> None:
    """Raise `SecretRequired` when the address changes and a stored secret would travel there unasked.

    Called before any look-up or connection; the address is computed without secrets.
    """
    secret = {spec.outside for spec in cls.specs() if spec.secret}
    plain = {
        name: value
        for name, value in {**stored.config, **patch}.items()
        if name not in secret and value is not None
    }
    if tuple(cls.parse(plain, secrets_required=False).address()) == tuple(stored.address):
        return
    missing = tuple(sorted(name for name in stored.masks if not _is_fresh(patch, name)))
    if missing:
        raise SecretRequired(missing)


def _keeps(value: Any) -> bool:
    """Whether a value sent back asks to keep something of what is stored."""
    return any(map(is_masked, value.values())) if isinstance(value, Mapping) else is_masked(value)


def _is_fresh(patch: Mapping[str, Any], name: str) -> bool:
    if name not in patch:
        return False
    return not _keeps(patch[name]) and patch[name] != ""


def _headers(given: Mapping[str, Any], kept: Any) -> dict[str, Any]:
    """Return a replaced set of headers; a mask sent back stands for the value that header has."""
    known = {name.lower(): value for name, value in kept.items()} if isinstance(kept, Mapping) else {}
    found = {
        name: known.get(str(name).lower()) if is_masked(value) else value for name, value in given.items()
    }
    return {name: value for name, value in found.items() if value is not None}


# -- one reader a field ------------------------------------------------------------------------------


def _read_name(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(text) <= 100 or any(not char.isprintable() for char in text):
        raise ValueError("Enter a name of 1 to 100 characters.")
    return text


def _read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Enter true or false.")  # noqa: TRY004 - every wrong setting is a ValueError
    return value


def _read_rate(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0001 <= value <= 1:
        raise ValueError("Enter a number from 0.0001 to 1.")
    return float(value)


def _read_hashes(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not value or len(value) > 100:
        raise ValueError("Enter 1 to 100 key hashes, or null for every key.")
    if not all(isinstance(item, str) and _HASH.fullmatch(item) for item in value):
        raise ValueError("A key's hash is 64 lower-case hexadecimal digits.")
    return tuple(dict.fromkeys(value))


def _read_level(value: Any) -> str:
    if value not in privacy.LEVELS:
        raise ValueError("Choose one of " + ", ".join(privacy.LEVELS) + ".")
    return str(value)


def _read_sampler(value: Any) -> str | None:
    if value is not None and value not in sampling.SAMPLERS:
        raise ValueError(
            "Choose one of " + ", ".join(sampling.SAMPLERS) + ", or null to keep whole sessions."
        )
    return None if value is None else str(value)


def _read_rules(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("Enter an object, or null.")  # noqa: TRY004
    found = filters.validate(dict(value))
    if found:
        raise ValueError("; ".join(f"{path}: {sentence}" for path, sentence in found.items()))
    # Whoever reads them, OpenRouter's SDK first of all, finds every group and what joins its rules.
    groups = [{**group, "logic": group.get("logic", "and")} for group in value.get("groups", ())]
    return {"enabled": value.get("enabled", True), "groups": groups}


def _read_regions(value: Any) -> tuple[str, ...]:
    known = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    found = tuple(dict.fromkeys(map(filters.region, value))) if known else ()
    if not found or not set(found) <= set(filters.REGIONS):
        raise ValueError("Enter one at least of " + ", ".join(filters.REGIONS) + ".")
    return found


def _read_privacy(body: Mapping[str, Any], found: dict[str, Any]) -> None:
    """Derive the level from OpenRouter's switch: true is metadata, false is full unless a level is given."""
    if body.get("privacy_mode") is None:
        return
    private = _read_flag(body["privacy_mode"])
    if "privacy_level" not in body:
        found["privacy_level"] = "metadata" if private else "full"
    elif private != (found["privacy_level"] == "metadata"):
        raise ValueError("privacy_mode and privacy_level disagree. Give one of them.")


_READERS: Final[Mapping[str, Any]] = {
    "name": _read_name,
    "enabled": _read_flag,
    "sampling_rate": _read_rate,
    "privacy_level": _read_level,
    "filter_rules": _read_rules,
    "regions": _read_regions,
    "sampler": _read_sampler,
    "resource_attributes": additions.read_attributes,
    "redaction_patterns": additions.read_patterns,
    **dict.fromkeys(_KEY_LISTS, _read_hashes),
    **dict.fromkeys(_FLAGS, _read_flag),
}


def same_secrets(tested: Destination, config: Mapping[str, Any]) -> bool:
    """Whether every secret that was entered, and not only masked, is the tested one."""
    for spec in tested.specs():
        given = config.get(spec.outside)
        if not spec.secret or not given or is_masked(given):
            continue
        if isinstance(given, Mapping):
            entered = {name.lower(): value for name, value in given.items()}
            known: Mapping[str, str] = tested.extra_headers()
        else:
            entered, known = {spec.outside: given}, {spec.outside: tested.secrets().get(spec.outside, "")}
        if entered.keys() != known.keys():
            return False
        # A page names a tested header without its value, which it was never given back.
        if any(value != known[name] for name, value in entered.items() if value and not is_masked(value)):
            return False
    return True
