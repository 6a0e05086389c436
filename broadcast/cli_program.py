"""What every command begins with: the configuration, the destination types, the assembled program."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import click

from broadcast.config import Config, load
from broadcast.destination import Destination
from broadcast.errors import BroadcastError
from broadcast.logs import configure
from broadcast.runtime import Services, build

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def explained() -> Iterator[None]:
    """Turn our errors into one sentence and exit code 1, never a stack trace."""
    try:
        yield
    except BroadcastError as error:
        raise click.ClickException(str(error)) from None


def with_services(command: Callable[Concatenate[Services, P], R]) -> Callable[P, R]:
    """Give a command the assembled program on a migrated database."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with explained(), closing(opened(configured())) as services:
            return command(services, *args, **kwargs)

    return wrapped


def configured() -> Config:
    """Return the configuration, with logs set up as it says."""
    config = load()
    configure(config.log_level, config.log_format)
    return config


def types() -> Mapping[str, type[Destination]]:
    """Return the destination types, found by looking into a folder: only for commands that need them."""
    from destinations import TYPES  # noqa: PLC0415 - see above

    return TYPES


def opened(config: Config) -> Services:
    """Return the program on a database that is at this version's schema."""
    services = build(config, types())
    if (wrong := services.store.schema_fault()) is not None:
        services.close()
        raise BroadcastError(str(wrong))
    return services


def migrated(config: Config) -> Services:
    """Return the program after bringing the database to this version's schema."""
    services = build(config, types())
    services.store.migrate()
    return services
