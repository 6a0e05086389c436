"""The `broadcast` command. Door: click."""

import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from broadcast import __version__
from broadcast.config import Config, load
from broadcast.demo import Demo, prepare_demo
from broadcast.doctor import Finding, examine
from broadcast.errors import BroadcastError
from broadcast.logs import configure
from broadcast.rotation import rotate, verify
from broadcast.runtime import Services, build
from broadcast.serving import WorkerProcess, end_with_parent, serve_web
from broadcast.status import DestinationStatus, statuses

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn our errors into one sentence and exit code 1, never a stack trace."""
    try:
        yield
    except BroadcastError as error:
        raise click.ClickException(str(error)) from None


def _with_services(command: Callable[Concatenate[Services, P], R]) -> Callable[P, R]:
    """Give a command the assembled program on a migrated database."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with _explained():
            return command(_services(_configured()), *args, **kwargs)

    return wrapped


def _configured() -> Config:
    config = load()
    configure(config.log_level, config.log_format)
    return config


def _services(config: Config) -> Services:
    from destinations import TYPES  # noqa: PLC0415 - the types are found by looking into a folder

    services = build(config, TYPES)
    if not services.store.is_migrated():
        raise BroadcastError("The database is not at this version's schema. Run: broadcast migrate")
    return services


@click.group()
@click.version_option(__version__, prog_name="broadcast")
def main() -> None:
    """Every LLM request of any router, as OpenTelemetry spans, where a team already looks."""


@main.command()
def serve() -> None:
    """Serve pages, API and the worker on one machine, migrating first."""
    with _explained():
        config = _configured()
        services = _migrated(config)
        demo = prepare_demo(services) if config.demo else None
        services.store.close()
        _announce(config, demo)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        worker = WorkerProcess()
        try:
            serve_web(config)
        except KeyboardInterrupt:
            pass
        finally:
            worker.stop()


@main.command()
def web() -> None:
    """Serve pages and API; run `broadcast worker` beside it."""
    with _explained():
        config = _configured()
        _services(config).store.close()
        serve_web(config)


@main.command()
def worker() -> None:
    """Deliver receipts until SIGTERM or Ctrl-C."""
    from broadcast.worker import run  # noqa: PLC0415 - the scheduler is needed here alone

    with _explained():
        end_with_parent()
        run(_services(_configured()))


@main.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    with _explained():
        _migrated(_configured())
    click.echo("The database is at this version's schema.")


@main.command()
@click.option("--email", required=True)
@click.option("--password", required=True)
@click.option("--workspace", required=True, help="The name of the workspace to make.")
@click.option("--new-keys", is_flag=True, help="Make new keys when the workspace exists already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def bootstrap(*, email: str, password: str, workspace: str, new_keys: bool, as_json: bool) -> None:
    """Migrate, then make a user, a workspace and its keys; safe to run again."""
    with _explained():
        services = _migrated(_configured())
        made = services.accounts.bootstrap(
            email=email, password=password, workspace=workspace, new_keys=new_keys, now_us=services.clock()
        )
        made["login_url"] = f"{services.config.public_url}/login"
    _print(made, as_json=as_json)


@main.command()
@click.option("--json", "as_json", is_flag=True)
@_with_services
def status(services: Services, *, as_json: bool) -> None:
    """Say, for every destination, what it is doing and how far behind it is."""
    found = statuses(services)
    if as_json:
        click.echo(json.dumps({"data": [item.view() for item in found]}))
        return
    if not found:
        click.echo("No destinations yet. Requests are recorded; nothing leaves this server.")
    for item in found:
        click.echo(_status_line(item))


@main.command()
@click.option("--json", "as_json", is_flag=True)
def doctor(*, as_json: bool) -> None:
    """Check configuration, database, keys, egress, clock and ledgers; say what to do."""
    with _explained():
        config = load()
        from destinations import TYPES  # noqa: PLC0415

        findings = examine(config, TYPES)
    if as_json:
        click.echo(json.dumps({"data": [finding.view() for finding in findings]}))
    else:
        for finding in findings:
            click.echo(_finding_line(finding))
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@main.group()
def keys() -> None:
    """Rotate and verify the encryption keys."""


@keys.command(name="rotate")
@_with_services
def keys_rotate(services: Services) -> None:
    """Wrap every stored secret with the first key of BROADCAST_ENCRYPTION_KEYS."""
    count = rotate(services)
    click.echo(f"{count} sealed values are wrapped with the first key. Next: broadcast keys verify")


@keys.command(name="verify")
@_with_services
def keys_verify(services: Services) -> None:
    """Open every stored secret, and name what cannot be opened."""
    broken = verify(services)
    for name in broken:
        click.echo(f"cannot be opened: {name}")
    click.echo("Every sealed value opens." if not broken else f"{len(broken)} sealed values do not open.")
    sys.exit(1 if broken else 0)


def _migrated(config: Config) -> Services:
    from destinations import TYPES  # noqa: PLC0415

    services = build(config, TYPES)
    services.store.migrate()
    return services


def _print(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(made))
        return
    for name, value in made.items():
        click.echo(f"{name:16} {value if value is not None else '(made before; --new-keys makes another)'}")


def _announce(config: Config, demo: Demo | None) -> None:
    """Print the address, and on a first start the login and one ready curl line."""
    click.echo(f"Broadcast {__version__} on {config.public_url}")
    if demo is None:
        return
    body = json.dumps(
        {
            "model": "demo/echo",
            "messages": [{"role": "user", "content": "Say hello"}],
            "session_id": "first-session",
            "trace": {"trace_name": "first-trace", "environment": "demo"},
        }
    )
    click.echo(f"\n  log in     {config.public_url}/login")
    click.echo(f"  e-mail     {demo.email}\n  password   {demo.password}   (shown once)\n")
    click.echo("Send a request, then look at the Receiver and Activity pages:\n")
    click.echo(
        f"  curl {config.public_url}/api/v1/chat/completions -H 'Authorization: Bearer {demo.api_key}' "
        f"-H 'Content-Type: application/json' -d {shlex.quote(body)}\n"
    )


def _status_line(item: DestinationStatus) -> str:
    behind = f"{item.backlog} waiting"
    error = f"  {item.last_reason}" if item.last_reason and item.state != "delivering" else ""
    return f"{item.workspace}  {item.name}  {item.type}  {item.state}  #{item.cursor}  {behind}{error}"


def _finding_line(finding: Finding) -> str:
    mark = "ok  " if finding.ok else "FIX "
    return f"{mark} {finding.subject}: {finding.message}" + (f" {finding.fix}" if finding.fix else "")
