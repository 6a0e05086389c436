"""`broadcast destinations`: look at them, test, pause, resume, replay, on the local database."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import click

from broadcast.cli_program import with_services
from broadcast.errors import SettingsError
from broadcast.preview import Preview
from broadcast.replay import Replays, Wanted, view, wanted_from
from broadcast.report import Report
from broadcast.runtime import Services
from broadcast.store import workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.workspaces import Workspace

C = TypeVar("C", bound=Callable[..., Any])
_WORKSPACE: Final = click.option(
    "--workspace", metavar="SLUG", help="Which workspace, where there are several."
)
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print the API's object alone.")
_DESTINATION: Final = click.argument("destination")


@click.group()
def destinations() -> None:
    """Look at destinations, test, pause, resume and replay; DESTINATION is a name or an id."""


def _one(command: C) -> C:
    """Give a command its destination, its workspace and the choice of JSON."""
    return _DESTINATION(_WORKSPACE(_JSON(command)))


@destinations.command(name="list")
@_WORKSPACE
@_JSON
@with_services
def list_all(services: Services, *, workspace: str | None, as_json: bool) -> None:
    """List the destinations of a workspace and what each is doing."""
    home = _workspace(services, workspace)
    listed = services.connections.overview(home)
    if as_json:
        shown = [services.connections.view(item.stored, home) for item in listed]
        _print({"data": shown, "total_count": len(shown)})
        return
    if not listed:
        click.echo("No destinations yet. Requests are recorded; nothing leaves this server.")
        return
    heads = ("NAME", "TYPE", "STATE", "WAITING", "ID")
    rows = [
        (item.stored.name, item.stored.type, item.state.word, f"{item.state.backlog:,}", item.stored.uid)
        for item in listed
    ]
    for line in _table((heads, *rows)):
        click.echo(line)


@destinations.command(name="test")
@_one
@with_services
def test(services: Services, *, destination: str, workspace: str | None, as_json: bool) -> None:
    """Send one marked span to a saved destination; exit 1 when it does not pass."""
    home, stored = _chosen(services, workspace, destination)
    report = services.connections.test(home, {}, uid=stored.uid, now_us=services.clock())
    if as_json:
        _print(report.view())
    else:
        click.echo(_report_line(stored, report))
    raise click.exceptions.Exit(0 if report.ok else 1)


@destinations.command(name="pause")
@_one
@with_services
def pause(services: Services, *, destination: str, workspace: str | None, as_json: bool) -> None:
    """Hold a destination's receipts back until it is resumed."""
    home, stored = _chosen(services, workspace, destination)
    paused = services.connections.pause(home, None, stored.uid, now_us=services.clock())
    _changed(services, home, paused, f"{paused.name} is paused. Receipts are kept for it.", as_json=as_json)


@destinations.command(name="resume")
@_one
@with_services
def resume(services: Services, *, destination: str, workspace: str | None, as_json: bool) -> None:
    """Let a paused destination send what it held."""
    home, stored = _chosen(services, workspace, destination)
    resumed = services.connections.resume(home, None, stored.uid, now_us=services.clock())
    _changed(services, home, resumed, f"{resumed.name} sends again, from where it stopped.", as_json=as_json)


@destinations.command(name="replay")
@_one
@click.option("--from", "begin", metavar="TIME", help="Created at or after, such as 2026-11-20T02:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Created before; up to now when left out.")
@click.option("--receipt", "receipt_ids", metavar="ID", multiple=True, help="A receipt; may be repeated.")
@click.option("--dead-letters", is_flag=True, help="Every receipt this destination rejected.")
@click.option("--include-delivered", is_flag=True, help="Those delivered before too.")
@click.option("--dry-run", is_flag=True, help="Count and weigh, and send nothing.")
@click.option("--yes", is_flag=True, help="Begin without asking.")
@with_services
def replay(
    services: Services,
    /,
    *,
    destination: str,
    workspace: str | None,
    as_json: bool,
    dry_run: bool,
    yes: bool,
    **choice: Any,
) -> None:
    """Send receipts once more, with the ids they had, behind fresh traffic."""
    home, stored = _chosen(services, workspace, destination)
    wanted = _wanted(**choice)
    found = services.replays.preview(home, stored.uid, wanted, now_us=services.clock())
    if dry_run and as_json:
        _print({"data": found.view()})
        return
    # Under --json the standard output is for the object alone.
    for line in _preview_lines(stored, found):
        click.echo(line, err=as_json)
    if dry_run:
        return
    if not yes and found.to_send:
        click.confirm(f"Replay {_plural(found.to_send)}?", abort=True, err=as_json)
    begun = services.replays.start(home, None, stored.uid, wanted, now_us=services.clock())
    if as_json:
        _print({"data": view(begun)})
        return
    when = "when the destination resumes" if stored.paused_by else "behind fresh traffic"
    click.echo(f"Replay {begun.uid} runs {when}. To stop it: broadcast destinations stop-replay {stored.uid}")


@destinations.command(name="stop-replay")
@_one
@click.argument("replay_id", required=False)
@with_services
def stop_replay(
    services: Services, *, destination: str, workspace: str | None, as_json: bool, replay_id: str | None
) -> None:
    """Stop the replay that runs at a destination; what is under way may still arrive."""
    home, stored = _chosen(services, workspace, destination)
    replay_uid = replay_id or _running(services.replays, home, stored)
    stopped = services.replays.stop(home, None, stored.uid, replay_uid, now_us=services.clock())
    if as_json:
        _print({"data": view(stopped)})
        return
    word = "stopped" if stopped.state == "stopped" else "had ended"
    click.echo(f"Replay {stopped.uid} {word} after {stopped.position:,} of {_plural(stopped.total)}.")


# -- which one is meant ------------------------------------------------------------------------------


def _workspace(services: Services, slug: str | None) -> Workspace:
    with services.store.read() as conn:
        every = workspaces.all(conn)
    if slug is None and len(every) == 1:
        return every[0]
    found = next((item for item in every if item.slug == slug), None)
    if found is not None:
        return found
    known = ", ".join(item.slug for item in every) or "none yet; run: broadcast bootstrap"
    raise click.UsageError(f"Choose a workspace with --workspace: {known}.")


def _chosen(services: Services, slug: str | None, wanted: str) -> tuple[Workspace, StoredDestination]:
    home = _workspace(services, slug)
    listed = [item.stored for item in services.connections.overview(home)]
    for stored in listed:
        if stored.uid == wanted or stored.name.casefold() == wanted.strip().casefold():
            return home, stored
    known = ", ".join(stored.name for stored in listed) or "none yet"
    raise click.ClickException(f"There is no destination {wanted} in {home.name}. There are: {known}.")


def _running(replays: Replays, home: Workspace, stored: StoredDestination) -> str:
    for item in replays.list(home, stored.uid, limit=1)["data"]:
        if item["state"] == "running":
            return str(item["id"])
    raise click.ClickException(f"No replay runs at {stored.name}.")


def _wanted(
    *,
    begin: str | None,
    end: str | None,
    receipt_ids: Sequence[str],
    dead_letters: bool,
    include_delivered: bool,
) -> Wanted:
    body = {
        "from": begin,
        "to": end,
        "receipt_ids": list(receipt_ids) or None,
        "dead_letters": dead_letters,
        "include_delivered": include_delivered,
    }
    try:
        return wanted_from(body)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


# -- what is printed ---------------------------------------------------------------------------------


def _print(answer: Any) -> None:
    click.echo(json.dumps(answer))


def _changed(
    services: Services, home: Workspace, stored: StoredDestination, message: str, *, as_json: bool
) -> None:
    if as_json:
        _print({"data": services.connections.view(stored, home)})
    else:
        click.echo(message)


def _report_line(stored: StoredDestination, report: Report) -> str:
    mark = "passed" if report.ok else f"failed at {report.stage}"
    hint = f" {report.hint}" if report.hint else ""
    return f"{stored.name}: {mark}. {report.message}{hint}"


def _preview_lines(stored: StoredDestination, found: Preview) -> Iterable[str]:
    about = "about " if found.estimated else ""
    yield f"Replay to {stored.name}"
    yield from _table(
        (
            ("  receipts", f"{found.receipts:,}"),
            ("  delivered before", f"{found.already_delivered:,}"),
            ("  will be sent", f"{about}{found.to_send:,}"),
            ("  size, not zipped", f"{about}{_size(found.bytes)}"),
        )
    )
    yield found.message


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _size(length: int) -> str:
    if length < 1000:
        return f"{length} B"
    return f"{length / 1000:,.1f} kB" if length < 999_950 else f"{length / 1_000_000:,.1f} MB"


def _plural(number: int) -> str:
    return f"{number:,} receipt{'' if number == 1 else 's'}"
