"""The rings and doors of the design, held by walking the syntax tree.

Every exception is listed here with its reason; there are no others.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("broadcast", "destinations", "web", "migrations")
OURS = {*PACKAGES, "tests"}
HARD_LINES = 400
REFUSED_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "base",
    "manager",
    "managers",
    "service",
    "services",
}

# A ring imports its own level and below.
RINGS: dict[str, int] = {
    # ring 0: pure
    "errors": 0,
    "fields": 0,
    "pastes": 0,
    "setting_checks": 0,
    "receipt": 0,
    "receipt_parser": 0,
    "receipt_size": 0,
    "receipt_words": 0,
    "json_text": 0,
    "content": 0,
    "report": 0,
    "span": 0,
    "trace_context": 0,
    "genai": 0,
    "genai_attributes": 0,
    "genai_measures": 0,
    "genai_names": 0,
    "generation_groups": 0,
    "messages": 0,
    "moulds": 0,
    "remembered": 0,
    "multimodal": 0,
    "trace_metadata": 0,
    "truncation": 0,
    "times": 0,
    "additions": 0,
    "privacy": 0,
    "pseudonyms": 0,
    "redaction": 0,
    "filters": 0,
    "patterns": 0,
    "sampling": 0,
    "retry": 0,
    "send_faults": 0,
    "otlp": 0,
    "otlp_protobuf": 0,
    "otlp_metrics": 0,
    "series": 0,
    "answers": 0,
    "destination": 0,
    "request": 0,
    "fates": 0,
    "runs": 0,
    "sketch": 0,
    "tally": 0,
    "sources": 0,
    # ring 1: doors, and what reads the environment
    "config": 1,
    "logs": 1,
    "allocator": 1,
    "egress": 1,
    "exchange": 1,
    "transport": 1,
    "grpc_transport": 1,
    "grpc_answers": 1,
    "compression": 1,
    "outbound": 1,
    "mail": 1,
    "oidc": 1,
    "oidc_discovery": 1,
    "oidc_settings": 1,
    "vault": 1,
    "store": 1,
    "failpoints": 1,
    "declared_file": 1,
    "variables": 1,
    "otel_variables": 1,
    "operator_declaration": 1,
    "meters": 1,
    # ring 2: use cases is what is not named here
    # ring 3: processes
    "worker": 3,
    "serving": 3,
    "demo": 3,
    "runtime": 3,
    "reloading": 3,
    "status": 3,
    "doctor": 3,
    "rotation": 3,
    "local": 3,
    "remote": 3,
    "cli": 3,
    **{path.stem: 3 for path in (ROOT / "broadcast").glob("cli_*.py")},
    "__main__": 3,
}
USE_CASE = 2
ASSEMBLERS = {
    "broadcast/cli_program.py": "assembles the program",
    "broadcast/__main__.py": "assembles the program",
}

# Each package that does I/O, or belongs to one layer, has one door.
DOORS: dict[str, tuple[str, ...]] = {
    "aiohttp": ("broadcast/exchange.py", "broadcast/transport.py"),
    "yarl": ("broadcast/exchange.py", "broadcast/transport.py"),
    "aiodns": ("broadcast/transport.py",),
    "pycares": ("broadcast/transport.py",),
    "certifi": ("broadcast/outbound.py",),
    "urllib3": ("broadcast/outbound.py",),
    "cryptography": ("broadcast/vault.py",),
    "authlib": ("broadcast/oidc.py", "broadcast/oidc_discovery.py"),
    "joserfc": ("broadcast/oidc.py", "broadcast/oidc_discovery.py"),
    "argon2": ("broadcast/credentials.py",),
    "sqlalchemy": ("broadcast/store/", "migrations/"),
    "alembic": ("broadcast/store/", "migrations/"),
    "psycopg": ("broadcast/store/",),
    "sqlite3": ("broadcast/store/",),
    "apscheduler": ("broadcast/worker.py",),
    "uvloop": ("broadcast/worker.py",),
    "wtforms": ("web/forms.py", "web/form_fields.py"),
    "flask": ("web/",),
    "werkzeug": ("web/",),
    "jinja2": ("web/",),
    "markupsafe": ("web/",),
    "click": ("broadcast/cli.py", "broadcast/cli_", "broadcast/__main__.py"),
    "granian": ("broadcast/serving.py",),
    "isal": ("broadcast/compression.py",),
    "prometheus_client": ("broadcast/meters.py", "broadcast/scrape.py"),
    "smtplib": ("broadcast/mail.py",),
    # Answers tell of partial successes; OTLP in, and so the demo's receiver, reads what any exporter sends.
    "opentelemetry": (
        "broadcast/otlp_protobuf.py",
        "broadcast/otlp_metrics.py",
        "broadcast/answers.py",
        "broadcast/sources/otlp_reader.py",
        "broadcast/sources/otlp_answer.py",
    ),
    "grpc": ("broadcast/grpc_transport.py", "broadcast/grpc_answers.py"),
    "google": (
        "broadcast/grpc_answers.py",
        "broadcast/otlp_protobuf.py",
        "broadcast/otlp_metrics.py",
        "broadcast/answers.py",
        "broadcast/sources/otlp_reader.py",
    ),
    "yaml": ("broadcast/declared_file.py", "broadcast/settings_file.py"),
}
# Modules that reach the network, a file or the clock; ring 0 has no use for them.
IMPURE = {"aiohttp", "asyncio", "http", "os", "pathlib", "random", "requests", "secrets", "socket", "sqlite3",
          "subprocess", "tempfile", "threading", "time", "urllib.request"}  # fmt: skip
DESTINATIONS_MAY = {
    "broadcast.destination",
    "broadcast.fields",
    "broadcast.genai",
    "broadcast.genai_attributes",
    "broadcast.genai_names",
    "broadcast.otlp",
    "broadcast.otlp_protobuf",
    "broadcast.receipt",
    "broadcast.span",
    "broadcast.trace_metadata",
    "broadcast.vault",
}
# Of the vault only what is pure: a service account's token is signed where the request is built.
FROM_THE_VAULT = {"sign_rs256"}
WEB_HOLDS_NO = {"commit", "rollback"}


@cache
def modules() -> tuple[Path, ...]:
    return tuple(sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or place.is_dir()


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each imported module with its line, wherever in the file it stands."""
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(part for part in (above, node.module or "") if part)
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                ours = source.split(".")[0] in OURS and is_module(whole)
                yield node.lineno, whole if ours else source


def ring(module: str) -> int:
    """Return the ring of a module below broadcast; the package itself holds only its version."""
    parts = module.split(".")
    return RINGS.get(parts[1], USE_CASE) if len(parts) > 1 else 0


def none(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(dict.fromkeys(found))


def under(path: Path, places: tuple[str, ...]) -> bool:
    return any(
        shown(path) == place or (place.endswith(("/", "_")) and shown(path).startswith(place))
        for place in places
    )


def test_a_ring_imports_its_own_level_and_below() -> None:
    none(
        [
            f"{shown(path)}:{line} is ring {ring(dotted(path))} and imports {name}, ring {ring(name)}"
            for path in modules()
            if shown(path).startswith("broadcast/")
            for line, name in imported(path)
            if name.split(".")[0] == "broadcast" and ring(name) > ring(dotted(path))
        ]
    )


def test_ring_0_has_no_clock_no_network_and_no_files() -> None:
    none(
        [
            f"{shown(path)}:{line} is pure and imports {name}"
            for path in modules()
            if shown(path).startswith("broadcast/")
            and len(dotted(path).split(".")) > 1
            and ring(dotted(path)) == 0
            for line, name in imported(path)
            if name in IMPURE or name.split(".")[0] in IMPURE
        ]
    )


def test_the_domain_never_imports_destinations_or_pages() -> None:
    none(
        [
            f"{shown(path)}:{line} imports {name}"
            for path in modules()
            if shown(path).startswith("broadcast/") and shown(path) not in ASSEMBLERS
            for line, name in imported(path)
            if name.split(".")[0] in {"destinations", "web"}
        ]
    )


def test_a_destination_type_imports_only_the_port_and_its_vocabulary() -> None:
    none(
        [
            f"{shown(path)}:{line} imports {name}"
            for path in modules()
            if shown(path).startswith("destinations/")
            for line, name in imported(path)
            if name.split(".")[0] in OURS and not may_a_destination_import(path, name)
        ]
    )


def may_a_destination_import(path: Path, name: str) -> bool:
    if name in DESTINATIONS_MAY:
        return True
    own = name.removeprefix("destinations.").split(".")[0]
    # The package's door finds the types by looking into its folder; a type may share underscore files only.
    return name.startswith("destinations") and (own.startswith("_") or path.name == "__init__.py")


def test_a_destination_type_has_nothing_of_the_vault_but_a_signature() -> None:
    none(
        [
            f"{shown(path)}:{node.lineno} imports {alias.name}"
            for path in modules()
            if shown(path).startswith("destinations/")
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if "vault" in f"{getattr(node, 'module', '')}.{alias.name}" and alias.name not in FROM_THE_VAULT
        ]
    )


def test_destination_types_build_requests_and_never_send() -> None:
    sends = {"aiohttp", "http", "requests", "socket", "urllib.request", "asyncio", "subprocess"}
    none(
        [
            f"{shown(path)}:{line} imports {name}"
            for path in modules()
            if shown(path).startswith("destinations/")
            for line, name in imported(path)
            if name in sends or name.split(".")[0] in sends
        ]
    )


@pytest.mark.parametrize("package", sorted(DOORS))
def test_a_package_is_imported_only_by_its_door(package: str) -> None:
    none(
        [
            f"{shown(path)}:{line} imports {name}; its door is {' or '.join(DOORS[package])}"
            for path in modules()
            for line, name in imported(path)
            if name.split(".")[0] == package and not under(path, DOORS[package])
        ]
    )


def test_every_third_party_package_is_known_here() -> None:
    """A new dependency has to be given a door, or a reason to have none."""
    no_door = {
        "msgspec": "pure: structs and codecs",
        "typing_extensions": "pure: types",
    }
    known = {*DOORS, *no_door, *OURS, *sys.stdlib_module_names}
    none(
        [
            f"{shown(path)}:{line} imports {name}, which has no door"
            for path in modules()
            for line, name in imported(path)
            if name.split(".")[0] not in known
        ]
    )


def test_the_environment_is_read_in_one_module() -> None:
    none(
        [
            f"{shown(path)}:{node.lineno} reads the environment"
            for path in modules()
            if shown(path) != "broadcast/config.py"
            for node in ast.walk(tree(path))
            if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
            or (
                isinstance(node, ast.ImportFrom)
                and node.module == "os"
                and {a.name for a in node.names} & {"environ", "getenv"}
            )
        ]
    )


def test_pages_hold_no_query_and_no_commit() -> None:
    none(
        [
            f"{shown(path)}:{node.lineno} calls {node.func.attr}"
            for path in modules()
            if shown(path).startswith("web/")
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in WEB_HOLDS_NO
        ]
    )


def test_modules_have_names_that_say_something() -> None:
    none([shown(path) for path in modules() if path.stem.strip("_") in REFUSED_NAMES])


def test_modules_stay_below_the_hard_ceiling() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    none([f"{shown(path)} has {lines} lines" for path, lines in sizes.items() if lines > HARD_LINES])


def test_a_destination_type_stays_small() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    none(
        [
            f"{shown(path)} has {lines} lines"
            for path, lines in sizes.items()
            if shown(path).startswith("destinations/") and lines > 150
        ]
    )


def test_every_package_is_listed_for_the_wheel() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    assert {dotted(path.parent / "__init__.py") for path in modules()} == listed
