"""`broadcast destinations`: look at them, test, pause, resume, replay. Door: click."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from broadcast.cli_client import JSON, Client, Command, with_client
from broadcast.cli_output import (
    clean,
    columns,
    count,
    example,
    print_destinations,
    print_facts,
    print_json,
    receipts,
    size,
    words,
)

_DESTINATION: Final = click.argument("destination")
_POLL_S: Final = 1.0


@click.group()
def destinations() -> None:
    """Look at destinations, test, pause, resume and replay; DESTINATION is a name or an id."""


def _one(command: Command) -> Command:
    """Give a command its destination, its instance and the choice of JSON."""
    return _DESTINATION(JSON(with_client(command)))


@destinations.command(name="list", epilog=example("broadcast destinations list"))
@JSON
@with_client
def list_all(client: Client, *, as_json: bool) -> None:
    """List the destinations of a workspace and what each is doing."""
    shape = columns("NAME", "TYPE", "STATE", "WAITING", "ID", numbers=("WAITING",))
    print_destinations(client.destinations(), shape, _row, as_json=as_json)


@destinations.command(name="test", epilog=example("broadcast destinations test Collector"))
@_one
def test(client: Client, *, destination: str, as_json: bool) -> None:
    """Send one marked span to a saved destination; exit 1 when it does not pass."""
    chosen = _chosen(client, destination)
    report = client.test(chosen["id"])
    if as_json:
        print_json(report)
    else:
        mark = "passed" if report["ok"] else f"failed at {report['stage']}"
        hint = f" {report['hint']}" if report["hint"] else ""
        click.echo(clean(f"{chosen['name']}: {mark}. {report['message']}{hint}"))
    raise click.exceptions.Exit(0 if report["ok"] else 1)


@destinations.command(name="pause", epilog=example("broadcast destinations pause Collector"))
@_one
def pause(client: Client, *, destination: str, as_json: bool) -> None:
    """Hold a destination's receipts back until it is resumed."""
    paused = client.pause(_chosen(client, destination)["id"])
    _print_changed(paused, "is paused. Receipts are kept for it.", as_json=as_json)


@destinations.command(name="resume", epilog=example("broadcast destinations resume Collector"))
@_one
def resume(client: Client, *, destination: str, as_json: bool) -> None:
    """Let a paused destination send what it held."""
    resumed = client.resume(_chosen(client, destination)["id"])
    _print_changed(resumed, "sends again, from where it stopped.", as_json=as_json)


@destinations.command(
    name="replay",
    epilog=example(
        "broadcast destinations replay Collector --from 2026-11-20T02:00:00Z --dry-run",
        "broadcast destinations replay Collector --dead-letters --yes --wait",
    ),
)
@_one
@click.option("--from", "begin", metavar="TIME", help="Created at or after, such as 2026-11-20T02:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Created before; up to now when left out.")
@click.option("--receipt", "receipt_ids", metavar="ID", multiple=True, help="A receipt; may be repeated.")
@click.option("--dead-letters", is_flag=True, help="Every receipt this destination rejected.")
@click.option("--include-delivered", is_flag=True, help="Those delivered before too.")
@click.option("--dry-run", is_flag=True, help="Count and weigh, and send nothing.")
@click.option("--yes", is_flag=True, help="Begin without asking.")
@click.option("--wait", is_flag=True, help="Stay until it has ended, and say how far it is.")
def replay(
    client: Client,
    /,
    *,
    destination: str,
    as_json: bool,
    dry_run: bool,
    yes: bool,
    wait: bool,
    **choice: Any,
) -> None:
    """Send receipts once more, with the ids they had, behind fresh traffic."""
    chosen = _chosen(client, destination)
    wanted = _wanted(**choice)
    counted = client.replay(chosen["id"], wanted, dry_run=True)
    if dry_run and as_json:
        print_json(counted)
        return
    # Under --json the standard output is for the object alone.
    _print_preview(chosen["name"], counted["data"], err=as_json)
    if dry_run:
        return
    to_send = counted["data"]["to_send"]
    if not yes and to_send:
        click.confirm(f"Replay {receipts(to_send)}?", abort=True, err=as_json)
    begun = client.replay(chosen["id"], wanted, dry_run=False)
    if not as_json:
        when = "when the destination resumes" if chosen["paused_by"] else "behind fresh traffic"
        stop = f"broadcast destinations stop-replay {chosen['id']}"
        click.echo(f"Replay {begun['data']['id']} runs {when}. To stop it: {stop}")
    if wait:
        begun = {"data": _ended(client, chosen["id"], begun["data"])}
        if not as_json:
            click.echo(f"Replay {begun['data']['id']} {begun['data']['state']}: {_outcome(begun['data'])}.")
    if as_json:
        print_json(begun)


@destinations.command(name="stop-replay", epilog=example("broadcast destinations stop-replay Collector"))
@_one
@click.argument("replay_id", required=False)
def stop_replay(client: Client, *, destination: str, as_json: bool, replay_id: str | None) -> None:
    """Stop the replay that runs at a destination; what is under way may still arrive."""
    chosen = _chosen(client, destination)
    stopped = client.stop_replay(chosen["id"], replay_id or _running(client, chosen))
    if as_json:
        print_json(stopped)
        return
    found = stopped["data"]
    word = "stopped" if found["state"] == "stopped" else "had ended"
    click.echo(f"Replay {found['id']} {word} after {count(found['settled'])} of {receipts(found['total'])}.")


# -- which one is meant ------------------------------------------------------------------------------


def _chosen(client: Client, wanted: str) -> Mapping[str, Any]:
    listed = client.destinations()["data"]
    for item in listed:
        if item["id"] == wanted or item["name"].casefold() == wanted.strip().casefold():
            chosen: Mapping[str, Any] = item
            return chosen
    known = ", ".join(clean(item["name"]) for item in listed) or "none yet"
    raise click.ClickException(f"There is no destination {wanted}. There are: {known}.")


def _running(client: Client, chosen: Mapping[str, Any]) -> str:
    for item in client.replays(chosen["id"])["data"]:
        if item["state"] == "running":
            return str(item["id"])
    raise click.ClickException(f"No replay runs at {chosen['name']}.")


def _ended(client: Client, uid: str, begun: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a replay once it has ended; meanwhile a terminal shows how far it is."""
    found = begun
    while found["state"] == "running":
        _show_progress(found)
        time.sleep(_POLL_S)
        known = {item["id"]: item for item in client.replays(uid)["data"]}
        found = known.get(begun["id"], {**found, "state": "gone"})
    _show_progress(found, is_last=True)
    return found


def _show_progress(found: Mapping[str, Any], *, is_last: bool = False) -> None:
    if sys.stderr.isatty():
        told = f"\rReplaying: {count(found['settled'])} of {receipts(found['total'])} "
        click.echo(told, nl=is_last, err=True)


def _wanted(
    *,
    begin: str | None,
    end: str | None,
    receipt_ids: Sequence[str],
    dead_letters: bool,
    include_delivered: bool,
) -> dict[str, Any]:
    return {
        "from": begin,
        "to": end,
        "receipt_ids": list(receipt_ids) or None,
        "dead_letters": dead_letters,
        "include_delivered": include_delivered,
    }


# -- what is printed ---------------------------------------------------------------------------------


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    return item["name"], item["type"], words(item["state"]), count(item["backlog"]), item["id"]


def _print_changed(changed: Mapping[str, Any], message: str, *, as_json: bool) -> None:
    if as_json:
        print_json(changed)
    else:
        click.echo(f"{clean(changed['data']['name'])} {message}")


def _print_preview(name: str, found: Mapping[str, Any], *, err: bool) -> None:
    about = "about " if found["estimated"] else ""
    click.echo(f"Replay to {clean(name)}", err=err)
    print_facts(
        (
            ("  receipts", count(found["receipts"])),
            ("  delivered before", count(found["already_delivered"])),
            ("  will be sent", f"{about}{count(found['to_send'])}"),
            ("  size, not zipped", f"{about}{size(found['bytes'])}"),
        ),
        err=err,
    )
    click.echo(found["message"], err=err)


def _outcome(found: Mapping[str, Any]) -> str:
    names = ("delivered", "rejected", "sampled_out", "filtered", "expired")
    said = (f"{count(found[name])} {words(name)}" for name in names if found.get(name))
    return ", ".join(said) or "nothing was sent"
