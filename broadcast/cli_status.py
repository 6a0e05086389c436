"""`broadcast status`: what every destination is doing. Door: click."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from broadcast import metric_status
from broadcast.cli_client import JSON, Client, with_client
from broadcast.cli_output import clean, columns, count, example, moment, print_destinations, words


@click.command(
    epilog=example("broadcast status", "broadcast status --json | jq '.data[] | select(.backlog > 0)'")
)
@JSON
@with_client
def status(client: Client, *, as_json: bool) -> None:
    """Say, for every destination, what it is doing, how far behind it is, and what went wrong last."""
    found = client.status()
    heads = ("DESTINATION", "STATE", "WAITING", "BEHIND", "CURSOR", "SAMPLER", "SENDING", "AS", "ENDPOINT")
    shape = columns(*heads, numbers=("WAITING", "BEHIND", "CURSOR"))
    print_destinations(found, shape, _row, as_json=as_json)
    if as_json:
        return
    for item in found["data"]:
        for note in _notes(item):
            click.echo(f"{_name(item)}: {clean(note)}")


def _name(item: Mapping[str, Any]) -> str:
    return clean(f"{item['workspace']}/{item['name']}")


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        _name(item),
        words(item["state"]),
        count(item["backlog"]),
        f"{item['lag_s']:,.0f} s" if item["backlog"] else "",
        count(item["cursor"]),
        _sampler(item),
        "now" if item["in_flight"] else "",
        item["protocol"] or "",
        item["endpoint"],
    )


def _sampler(item: Mapping[str, Any]) -> str:
    """Return a sampler by its name, with its share where it keeps one."""
    name = str(item["sampler"])
    return f"{name} {item['sampling_rate']:.4g}" if name.endswith("ratio") else name


def _notes(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a table has no room for, where there is any."""
    error, replay = item["last_error"], item["replay"]
    if item["paused_by"]:
        yield f"paused by {'a person' if item['paused_by'] == 'person' else 'an answer'}" + (
            f": {item['last_reason']}" if item["paused_by"] == "answer" and item["last_reason"] else ""
        )
    if error is not None:
        yield f"last error {moment(error['at'])} UTC: {error['verdict']}, {error['reason']}"
    if item["next_try_at"]:
        yield f"next try {moment(item['next_try_at'])} UTC"
    if item["held_until"] and item["state"] == "paused":
        yield f"what waits is kept until {moment(item['held_until'])} UTC"
    if item["rejected"] or item["expired"]:
        yield f"given up: {count(item['rejected'])} rejected, {count(item['expired'])} expired"
    if item["metrics"] is not None:
        yield from _metrics(item["metrics"])
    if replay is not None:
        yield f"replay {count(replay['position'])} of {count(replay['total'])}"


def _metrics(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield how metrics are doing, and what went wrong after they were last sent."""
    sent, error = found["last_sent_at"], found["last_error"]
    last = f"last sent {moment(sent)} UTC" if sent else "not sent yet"
    yield f"metrics every {found['every_s']} s, {last}: {metric_status.cardinality(found)}"
    if error is not None and error["at"] > (sent or ""):
        yield f"metrics not taken {moment(error['at'])} UTC: {error['reason']}"
