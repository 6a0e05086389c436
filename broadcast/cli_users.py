"""The people of this server, by whoever holds its command line. Door: click."""

import json

import click

from broadcast.cli_program import with_services
from broadcast.passwords import MINUTES
from broadcast.runtime import Services
from broadcast.times import rfc3339


@click.group()
def users() -> None:
    """Help people who cannot sign in."""


@users.command(name="reset-password")
@click.option("--email", required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
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
        click.echo(json.dumps(found))
        return
    click.echo(
        f"Give this link to {reset.user.email}. It works once, within {MINUTES} minutes:\n\n{reset.link}"
    )
