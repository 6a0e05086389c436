"""The people of this server, by whoever holds its command line. Door: click."""

import click

from broadcast.cli_client import JSON
from broadcast.cli_output import example, print_json
from broadcast.cli_program import with_services
from broadcast.passwords import MINUTES
from broadcast.runtime import Services
from broadcast.times import rfc3339


@click.group()
def users() -> None:
    """Help people who cannot sign in."""


@users.command(
    name="reset-password", epilog=example("broadcast users reset-password --email ann@example.com")
)
@click.option("--email", required=True)
@JSON
@with_services
def reset_password(services: Services, *, email: str, as_json: bool) -> None:
    """Print a link by which a person chooses a new password; it works once, within an hour."""
    reset = services.passwords.link_for(email)
    if as_json:
        found = {
            "email": reset.user.email,
            "reset_url": reset.link,
            "expires_at": rfc3339(reset.expires_at_us),
        }
        print_json(found)
        return
    click.echo(
        f"Give this link to {reset.user.email}. It works once, within {MINUTES} minutes:\n\n{reset.link}"
    )
