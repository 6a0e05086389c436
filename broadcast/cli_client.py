"""Which instance a command asks: this machine's database, or another instance at a URL. Door: click."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from typing import Any, Final

import click

from broadcast.cli_program import configured, explained, opened
from broadcast.config import caller
from broadcast.errors import SettingsError
from broadcast.local import Local
from broadcast.remote import Remote

Client = Local | Remote
Command = Callable[..., Any]

JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print the API's object alone.")
_OPTIONS: Final = (
    click.option(
        "--url", metavar="URL", help="Ask the instance at URL [BROADCAST_URL], not the local database."
    ),
    click.option("--key", metavar="KEY", help="The key there [BROADCAST_KEY]; a variable stays out of `ps`."),
    click.option("--workspace", metavar="SLUG", help="Which workspace, where there are several."),
)


def with_client(command: Command) -> Command:
    """Give a command its instance, chosen by options that it gets too."""

    @wraps(command)
    def wrapped(*args: Any, url: str | None, key: str | None, workspace: str | None, **given: Any) -> Any:
        with explained(), _rightly_used(), _client(url, key, workspace) as client:
            return command(client, *args, **given)

    chosen: Command = wrapped
    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen


@contextmanager
def _client(url: str | None, key: str | None, workspace: str | None) -> Iterator[Client]:
    env = caller()
    address = url or env.url
    if key and not address:
        raise click.UsageError("A key is for an instance at an address: give --url too.")
    found: Client = (
        Remote(address, key or env.key, workspace) if address else Local(opened(configured()), workspace)
    )
    with closing(found):
        yield found


@contextmanager
def _rightly_used() -> Iterator[None]:
    """Turn wrong values into wrong use: exit code 2, with the command's usage."""
    try:
        yield
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
