"""The `broadcast` command. Door: click."""

import json
import shlex
import signal
import sys
from contextlib import closing
from typing import Any, Final

import click

from broadcast import __version__, reloading
from broadcast.cli_client import JSON
from broadcast.cli_destinations import destinations
from broadcast.cli_output import example, print_json
from broadcast.cli_program import configured, explained, migrated, opened, types, with_services
from broadcast.cli_requests import requests, usage
from broadcast.cli_settings import apply, export
from broadcast.cli_status import status
from broadcast.cli_users import users
from broadcast.config import Config, caller, load
from broadcast.demo import Demo, prepare_demo
from broadcast.doctor import Finding, examine
from broadcast.rotation import rotate, verify
from broadcast.runtime import Services
from broadcast.serving import WorkerProcess, end_with_parent, hear_hangup, serve_web

_RELOAD: Final = reloading.on_hangup(lambda: opened(load()))


@click.group(
    epilog="Exit codes: 0 done, 1 failed, 2 wrong use. --json prints the API's object and nothing else."
)
@click.version_option(__version__, prog_name="broadcast")
@click.pass_context
def main(context: click.Context) -> None:
    """Every LLM request of any router, as OpenTelemetry spans, where a team already looks."""
    with explained():
        # A terminal shows colours unless its owner said no; what is no terminal never does.
        context.color = None if caller().colours else False


@main.command(epilog=example("BROADCAST_PORT=8500 broadcast serve"))
def serve() -> None:
    """Serve pages, API and the worker on one machine, migrating first."""
    with explained():
        config = configured()
        with closing(migrated(config)) as services:
            demo = prepare_demo(services) if config.demo else None
            reloading.begin(services)
        _announce(config, demo)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        hear_hangup(_RELOAD)
        worker = WorkerProcess()
        try:
            serve_web(config, _RELOAD)
        except KeyboardInterrupt:
            pass
        finally:
            worker.stop()


@main.command(epilog=example("broadcast web"))
def web() -> None:
    """Serve pages and API; run `broadcast worker` beside it."""
    with explained():
        config = configured()
        with closing(opened(config)) as services:
            reloading.begin(services)
        hear_hangup(_RELOAD)
        serve_web(config, _RELOAD)


@main.command(epilog=example("broadcast worker"))
def worker() -> None:
    """Deliver receipts until SIGTERM or Ctrl-C."""
    from broadcast.worker import run  # noqa: PLC0415 - the scheduler is needed here alone

    with explained():
        end_with_parent()
        services = opened(configured())
        reloading.begin(services)
        run(services, _RELOAD)


@main.command(epilog=example("broadcast migrate"))
def migrate() -> None:
    """Bring the database to this version's schema."""
    with explained(), closing(migrated(configured())):
        pass
    click.echo("The database is at this version's schema.")


@main.command(
    epilog=example("broadcast bootstrap --email ann@example.com --password '...' --workspace Team --json")
)
@click.option("--email", required=True)
@click.option("--password", required=True)
@click.option("--workspace", required=True, help="The name of the workspace to make.")
@click.option("--new-keys", is_flag=True, help="Make new keys when the workspace exists already.")
@JSON
def bootstrap(*, email: str, password: str, workspace: str, new_keys: bool, as_json: bool) -> None:
    """Migrate, then make a user, a workspace and its keys; safe to run again."""
    with explained(), closing(migrated(configured())) as services:
        made = services.accounts.bootstrap(
            email=email, password=password, workspace=workspace, new_keys=new_keys, now_us=services.clock()
        )
        made["login_url"] = f"{services.config.public_url}/login"
    _print(made, as_json=as_json)


@main.command(epilog=example("broadcast doctor"))
@JSON
def doctor(*, as_json: bool) -> None:
    """Check configuration, database, keys, egress, clock and ledgers; say what to do."""
    with explained():
        config = load()
        findings = examine(config, types())
    if as_json:
        print_json({"data": [finding.view() for finding in findings]})
    else:
        for finding in findings:
            click.echo(_finding_line(finding))
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


for command in (status, usage, requests, destinations, export, apply, users):
    main.add_command(command)


@main.command(epilog=example("broadcast reload"))
@with_services
def reload(services: Services) -> None:
    """Read the operator's export and the upstreams again, here and in every running process."""
    count = reloading.reload(services)
    if count:
        click.echo(f"The operator's export is in {count} workspace{'' if count == 1 else 's'}.")
    else:
        click.echo("No operator's export is declared.")
    click.echo("Running web processes read their upstreams again within a second.")


@main.group()
def keys() -> None:
    """Rotate and verify the encryption keys."""


@keys.command(name="rotate", epilog=example("broadcast keys rotate"))
@with_services
def keys_rotate(services: Services) -> None:
    """Wrap every stored secret with the first key of BROADCAST_ENCRYPTION_KEYS."""
    count = rotate(services)
    click.echo(f"{count} sealed values are wrapped with the first key. Next: broadcast keys verify")


@keys.command(name="verify", epilog=example("broadcast keys verify"))
@with_services
def keys_verify(services: Services) -> None:
    """Open every stored secret, and name what cannot be opened."""
    broken = verify(services)
    for name in broken:
        click.echo(f"cannot be opened: {name}")
    click.echo("Every sealed value opens." if not broken else f"{len(broken)} sealed values do not open.")
    sys.exit(1 if broken else 0)


def _print(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(made)
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


def _finding_line(finding: Finding) -> str:
    mark = "ok  " if finding.ok else "FIX "
    return f"{mark} {finding.subject}: {finding.message}" + (f" {finding.fix}" if finding.fix else "")
