"""`broadcast export`, `broadcast apply`: destinations and switch as a file without secrets. Door: click."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any, Final, TextIO

import click

from broadcast import settings_file
from broadcast.cli_client import JSON, Client, with_client
from broadcast.cli_output import clean, example, print_json, waiting
from broadcast.cli_program import types
from broadcast.config import caller
from broadcast.errors import NotApplied

_MARKS: Final = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}


@click.command(epilog=example("broadcast export > destinations.yaml"))
@JSON
@with_client
def export(client: Client, *, as_json: bool) -> None:
    """Print a workspace's destinations and switch as YAML, each secret as a ${VARIABLE} to be set."""
    views, switch = client.destinations(), client.switch()
    if as_json:
        print_json({"broadcast": switch["data"], "destinations": views["data"]})
    else:
        enabled = switch["data"]["enabled"]
        click.echo(settings_file.written(views["data"], enabled=enabled), nl=False)


@click.command(
    epilog=example(
        "COLLECTOR_API_KEY=... broadcast apply destinations.yaml",
        "broadcast apply destinations.yaml --prune --yes",
    )
)
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--prune", is_flag=True, help="Delete the destinations that FILE does not name.")
@click.option("--dry-run", is_flag=True, help="Show what would change, test nothing and change nothing.")
@click.option("--yes", is_flag=True, help="Change without asking.")
@JSON
@with_client
def apply(client: Client, *, file: TextIO, prune: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make destinations and switch what FILE says; `-` reads the standard input.

    What would change is shown first. Everything that changes is tested before anything is saved; where a
    variable is not set or a test fails nothing is changed, and every reason is told.
    """
    if file.name == "<stdin>" and not (yes or dry_run):
        raise click.UsageError(
            "A file from the standard input cannot be asked about: add --yes or --dry-run."
        )
    try:
        body = settings_file.read(_text(file), caller().variables, types()) | {"prune": prune}
        planned = client.apply({**body, "dry_run": True})["data"]
        # Under --json the standard output is for the object alone.
        for line in _plan_lines(planned):
            click.echo(line, err=as_json)
        has_changes = bool(planned["changes"]) or planned["switch"] is not None
        if has_changes and not dry_run:
            if not yes:
                click.confirm("Test and change this?", abort=True, err=True)
            planned = _applied(client, body, planned, as_json=as_json)
    except NotApplied as error:
        for problem in error.problems:
            place = ".".join(filter(None, (problem["destination"], problem["field"])))
            click.echo(clean(f"{place}: {problem['message']}"), err=True)
        raise click.ClickException(str(error)) from None
    if as_json:
        print_json({"data": planned})


def _text(file: TextIO) -> str:
    try:
        return file.read()
    except UnicodeDecodeError:
        raise click.ClickException("The file is not UTF-8 text. Nothing was changed.") from None


def _applied(
    client: Client, body: Mapping[str, Any], planned: Mapping[str, Any], *, as_json: bool
) -> dict[str, Any]:
    tested = sum(change["tested"] for change in planned["changes"])
    told = waiting(f"Testing {tested} destination{'' if tested == 1 else 's'}")
    with told if tested else nullcontext():
        done: dict[str, Any] = client.apply(body)["data"]
    click.echo("Every test passed. Saved." if tested else "Saved.", err=as_json)
    return done


def _plan_lines(planned: Mapping[str, Any]) -> Iterator[str]:
    for change in planned["changes"]:
        mark, colour = _MARKS[change["action"]]
        yield click.style(f"{mark} {clean(change['name'])} ({change['type']})", fg=colour)
        for item in change["fields"]:
            yield clean(f"    {item['field']}: {_shown(item['before'])} -> {_shown(item['after'])}")
    if planned["switch"] is not None:
        yield click.style(f"~ Broadcast is switched {'on' if planned['switch'] else 'off'}", fg="yellow")
    if planned["left"]:
        names = ", ".join(map(clean, planned["left"]))
        yield f"Left alone, for the file does not name them (--prune deletes them): {names}"
    counted = [change["action"] for change in planned["changes"]]
    if not counted and planned["switch"] is None:
        yield "Nothing to change."
    else:
        yield (
            f"{counted.count('add')} to add, {counted.count('change')} to change, "
            f"{counted.count('remove')} to remove, {planned['unchanged']} unchanged."
        )


def _shown(value: Any) -> str:
    """Return a setting as one reads it; a secret comes masked."""
    return "none" if value is None else str(value)
