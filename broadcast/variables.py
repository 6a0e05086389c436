"""One environment variable: its value, or what stands in the file that `NAME_FILE` names."""

from collections.abc import Mapping
from pathlib import Path

from broadcast.errors import ConfigError


def text(values: Mapping[str, str], name: str) -> str:
    """Return the value without spaces around it, empty where it is not set; raise `ConfigError`."""
    value, path = (values.get(each, "").strip() for each in (name, f"{name}_FILE"))
    if value and path:
        raise ConfigError(f"{name} and {name}_FILE are both set. Keep one of them.")
    if not path:
        return value
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{name}_FILE cannot be read: {type(error).__name__}. Check path and mode."
        ) from None
