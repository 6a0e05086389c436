"""`broadcast usage` and `broadcast requests`: what was asked, and what it came to. Door: click."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import chain
from typing import Any, Final

import click

from broadcast import request_log
from broadcast.cli_client import JSON, Client, with_client
from broadcast.cli_output import (
    Column,
    clean,
    columns,
    count,
    dollars,
    example,
    milliseconds,
    moment,
    print_facts,
    print_json,
    print_rows,
    print_table,
)
from broadcast.errors import TooManyRequests, Unavailable
from broadcast.times import known_zone

_POLL_S: Final = 1.0
_PAGE: Final = 100
_SUMS: Final = ("REQUESTS", "PROMPT", "COMPLETION", "SPEND", "NO PRICE")
_REQUESTS: Final = (
    Column(head="TIME", width=19),
    Column(head="MODEL", width=28),
    Column(head="PROVIDER", width=12),
    Column(head="IN", is_number=True, width=7),
    Column(head="OUT", is_number=True, width=7),
    Column(head="COST", is_number=True, width=10),
    Column(head="LATENCY", is_number=True, width=9),
    Column(head="STATUS", width=9),
    Column(head="ID"),
)
_FILTERS: Final = tuple(
    click.option(f"--{name}", field, metavar="TEXT", help=f"Only those of this {what}.")
    for name, field, what in (
        ("model", "model_id", "model"),
        ("provider", "provider_id", "provider"),
        ("source", "funding_source", "funding source"),
        ("key-name", "api_key_name", "API key's name"),
        ("session", "session_id", "session"),
        ("user", "user", "user"),
        ("request-id", "request_id", "router's own id"),
    )
)


def _zone(_: click.Context, __: click.Parameter, name: str | None) -> tzinfo | None:
    """Return a time zone by its IANA name; wrong use for one that is unknown."""
    found = known_zone(name) if name is not None else None
    if name is not None and found is None:
        message = f"{name} is no zone that this machine knows. Enter one such as Europe/Berlin."
        raise click.BadParameter(message)
    return found


def _timed(command: Any) -> Any:
    """Give a command `--from`, `--to` and the zone in which both are read."""
    options = (
        click.option(
            "--from", "begin", metavar="TIME", help="Began at or after, such as 2026-11-20T02:00:00Z."
        ),
        click.option("--to", "end", metavar="TIME", help="Began before; up to now when left out."),
        click.option(
            "--zone",
            callback=_zone,
            metavar="ZONE",
            help="Show times, and read those without a zone, in ZONE.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _filtered(command: Any) -> Any:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.command(epilog=example("broadcast usage --from 2026-11-01 --to 2026-12-01 --zone Europe/Berlin"))
@_timed
@JSON
@with_client
def usage(client: Client, *, begin: str | None, end: str | None, zone: tzinfo | None, as_json: bool) -> None:
    """Say what the requests of a time came to, by model and by capability; 30 days unless said."""
    found = client.usage(_span(begin, end, zone))
    if as_json:
        print_json(found)
        return
    since, until = moment(found["from"], zone or UTC), moment(found["to"], zone or UTC)
    click.echo(f"From {since} to {until} ({_zone_name(zone)})\n")
    print_table(columns("", *_SUMS, numbers=_SUMS), [("All requests", *_sums(found))])
    for head, part, name in (
        ("MODEL", "by_model", "model_id"),
        ("CAPABILITY", "by_capability", "capability"),
    ):
        if found[part]:
            click.echo("")
            rows = [(item[name], *_sums(item)) for item in found[part]]
            print_table(columns(head, *_SUMS, numbers=_SUMS), rows)
    if found["unpriced_request_count"]:
        click.echo("\nSPEND is of the requests whose price is known; NO PRICE counts the others.")


@click.command(
    epilog=example(
        "broadcast requests --status error --from 2026-11-20T00:00:00Z",
        "broadcast requests --follow --model openai/gpt-4o-mini",
        "broadcast requests gen-1795262400-abcdefghij0123456789",
    )
)
@click.argument("receipt_id", required=False, metavar="[ID]")
@_timed
@_filtered
@click.option("--status", type=click.Choice(request_log.STATUSES), help="Only those that ended so.")
@click.option("--streamed/--not-streamed", "streamed", default=None, help="Only those streamed, or not.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many."
)
@click.option("--follow", is_flag=True, help="Print new ones as they arrive, until Ctrl-C.")
@JSON
@with_client
def requests(
    client: Client,
    *,
    receipt_id: str | None,
    begin: str | None,
    end: str | None,
    zone: tzinfo | None,
    streamed: bool | None,
    limit: int,
    follow: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """List requests, newest first; with ID, say all about one; with --follow, print new ones as they come.

    --follow with --json prints one request a line; with --from it begins with those since then.
    """
    asked = {name: value for name, value in filters.items() if value is not None}
    asked |= _span(begin, end, zone)
    if streamed is not None:
        asked["streamed"] = str(streamed).lower()
    if receipt_id is not None:
        if asked or follow:
            raise click.UsageError("Give an ID, or filters.")
        _print_one(client.request(receipt_id), zone, as_json=as_json)
    elif follow:
        if end is not None:
            raise click.UsageError("--follow has no end: leave --to out.")
        _print_as_they_come(_arriving(client, asked), zone, as_json=as_json)
    else:
        _print_page(_newest(client, asked, limit), zone, as_json=as_json)


# -- what is asked -----------------------------------------------------------------------------------


def _span(begin: str | None, end: str | None, zone: tzinfo | None) -> dict[str, str]:
    given = {"from": begin, "to": end}
    return {name: _zoned(text, zone) for name, text in given.items() if text is not None}


def _zoned(text: str, zone: tzinfo | None) -> str:
    """Return a time with the zone it lacks; what is no time is for whoever reads it to refuse."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if at.tzinfo is not None or zone is None else at.replace(tzinfo=zone).isoformat()


def _zone_name(zone: tzinfo | None) -> str:
    return getattr(zone, "key", "UTC")


def _newest(client: Client, asked: Mapping[str, str], limit: int) -> dict[str, Any]:
    """Return the newest requests as one page, read from as many as it takes."""
    found = client.requests(asked, limit=min(limit, _PAGE))
    data = found["data"]
    while found["next_cursor"] is not None and len(data) < limit:
        rest = min(limit - len(data), _PAGE)
        found = client.requests({**asked, "cursor": found["next_cursor"]}, limit=rest)
        data += found["data"]
    return {**found, "data": data}


def _arriving(client: Client, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Return requests in the order they arrive, without an end, from here on or from where is asked."""
    here = client.requests({**asked, "arrived_after": request_log.NOW}, limit=1)["next_cursor"]
    return _after(client, asked, request_log.START if "from" in asked else here)


def _after(client: Client, asked: Mapping[str, str], place: str) -> Iterator[dict[str, Any]]:
    """Yield what arrives after a place; a server that is away is waited for."""
    is_away = False
    while True:
        try:
            found = client.requests({**asked, "arrived_after": place}, limit=_PAGE)
        except (Unavailable, TooManyRequests) as error:
            if not is_away:
                click.echo(f"{error} Trying again.", err=True)
            is_away = True
            time.sleep(max(_POLL_S, error.retry_after_s))
            continue
        is_away, place = False, found["next_cursor"]
        yield from found["data"]
        if len(found["data"]) < _PAGE:
            time.sleep(_POLL_S)


# -- what is printed ---------------------------------------------------------------------------------


def _sums(found: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        count(found["request_count"]),
        count(found["prompt_tokens"]),
        count(found["completion_tokens"]),
        dollars(found["spend_micro_usd"]),
        count(found["unpriced_request_count"]),
    )


def _row(item: Mapping[str, Any], zone: tzinfo | None) -> Sequence[str]:
    return (
        moment(item["created_at"], zone or UTC),
        item["model_id"],
        item["provider_id"] or "",
        count(item["prompt_tokens"]),
        count(item["completion_tokens"]),
        dollars(item["final_charge_micro_usd"]),
        milliseconds(item["latency_ms"]),
        item["status"],
        item["id"],
    )


def _print_page(found: Mapping[str, Any], zone: tzinfo | None, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif not found["data"]:
        click.echo("No requests.")
    else:
        print_table(_REQUESTS, [_row(item, zone) for item in found["data"]])
        if found["next_cursor"] is not None:
            click.echo(f"\nThere are older ones: raise --limit, or give --to. Times are {_zone_name(zone)}.")


def _print_as_they_come(arriving: Iterator[dict[str, Any]], zone: tzinfo | None, *, as_json: bool) -> None:
    try:
        if as_json:
            for item in arriving:
                print_json(item)
        else:
            heads = [tuple(column.head for column in _REQUESTS)]
            print_rows(_REQUESTS, chain(heads, (_row(item, zone) for item in arriving)))
    except KeyboardInterrupt:
        # This is how it is ended, and no failure.
        return


def _print_one(found: Mapping[str, Any], zone: tzinfo | None, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    error = found["receipt"].get("error") or {}
    print_facts(
        (name, value)
        for name, value in (
            ("id", found["id"]),
            ("request id", found["request_id"]),
            ("status", found["status"]),
            ("error", " ".join(filter(None, (error.get("type"), error.get("message"))))),
            ("model", found["model_id"]),
            ("provider", found["provider_id"] or ""),
            ("began", f"{moment(found['created_at'], zone or UTC)} {_zone_name(zone)}"),
            ("latency", milliseconds(found["latency_ms"])),
            ("first token", milliseconds(found["first_token_ms"])),
            ("prompt tokens", count(found["prompt_tokens"])),
            ("of them cached", count(found["cached_tokens"])),
            ("completion tokens", count(found["completion_tokens"])),
            ("of them reasoning", count(found["reasoning_tokens"])),
            ("cost", dollars(found["final_charge_micro_usd"])),
            ("source", found["funding_source"] or ""),
            ("attempts", count(found["attempts"])),
            ("routing profile", found["routing_profile"] or ""),
            ("capabilities", ", ".join(found["capabilities"])),
            ("API key", found["api_key_name"] or ""),
            ("session", found["session_id"] or ""),
            ("user", found["user"] or ""),
        )
        if value
    )
    if found["delivery"]:
        click.echo("")
        print_table(
            columns("DESTINATION", "FATE", "AT", "REASON"),
            [
                (item["name"], item["fate"], moment(item["at"], zone or UTC), item["reason"] or "")
                for item in found["delivery"]
            ],
        )
        for item in found["delivery"]:
            if item["trace_url"]:
                click.echo(f"{clean(item['name'])}: {clean(item['trace_url'])}")
