"""A file of the operator's (YAML), read strictly: every error names its variable, the place and the fix."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import yaml

from broadcast.errors import ConfigError

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_Form = TypeVar("_Form")


def wrong(setting: str, message: str) -> ConfigError:
    """Return the error that stops the process; `setting` is the variable that names the file."""
    return ConfigError(f"{setting}: {message}")


def document(setting: str, path: Path) -> Any:
    """Return what the file holds; raise `ConfigError`."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(
            setting, f"the file cannot be read ({type(error).__name__}). Check path and mode."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise wrong(setting, f"the file is not valid YAML{line}. Correct it.") from None


def declared(setting: str, item: Any, form: type[_Form], place: str) -> _Form:
    """Return a part of the file as its form has it; raise `ConfigError`."""
    try:
        return msgspec.convert(item, type=form)
    except msgspec.ValidationError as error:
        what, _, inner = str(error).partition(" - at `$")
        where = f"{place}{inner.rstrip('`')}".lstrip(".")
        raise wrong(
            setting, f"{where}: {what}. Correct it." if where else f"{what}. Correct the file."
        ) from None


def filled(setting: str, text: str, variables: Mapping[str, str], place: str) -> str:
    """Return a text with each `${VAR}` filled in; raise `ConfigError` for one that is not set."""

    def value(found: "re.Match[str]") -> str:
        name = found.group(1)
        if not variables.get(name):
            raise wrong(setting, f"{place} needs the variable {name}. Set it.")
        return variables[name]

    return _VARIABLE.sub(value, text)
