"""What could be wrong with an installation, looked at one by one, each with what to do."""

import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Final

from broadcast import reloading, sums_proof
from broadcast.config import Config
from broadcast.destination import Destination
from broadcast.errors import BroadcastError, SignInRefused
from broadcast.proof import prove
from broadcast.rotation import verify
from broadcast.runtime import Services, build
from broadcast.store import destinations, workspaces

_CLOCK_SKEW_US: Final = 5_000_000
_LOW_DISK_BYTES: Final = 500_000_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: whether it is well, what was seen, and what to do."""

    subject: str
    ok: bool
    message: str
    fix: str = ""

    def view(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)


def examine(config: Config, types: Mapping[str, type[Destination]]) -> list[Finding]:
    """Return every finding; a fault in one examination never hides the others."""
    findings = [*_files(config)]
    try:
        services = build(config, types)
    except BroadcastError as error:
        return [*findings, Finding(subject="start", ok=False, message=str(error))]
    with closing(services):
        if (wrong := services.store.schema_fault()) is not None:
            return [*findings, Finding(subject="database", ok=False, message=wrong.message, fix=wrong.fix)]
        for look in (_database, _clock, _keys, _ledgers, _sums, _egress, _operator_export, _sign_in):
            findings.extend(_guarded(look, services))
    return findings


def _guarded(look: Callable[[Services], Iterator[Finding]], services: Services) -> list[Finding]:
    try:
        return list(look(services))
    except BroadcastError as error:
        return [Finding(subject=look.__name__.strip("_"), ok=False, message=str(error))]


def _files(config: Config) -> Iterator[Finding]:
    yield Finding(subject="configuration", ok=True, message=f"Read. Pages at {config.public_url}.")
    for name in ("encryption_keys", "secret_key"):
        path = config.data_dir / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            fix = f"Run: chmod 600 {path.name} in the data folder"
            yield Finding(subject=name, ok=False, message="Others on this machine may read the key.", fix=fix)
    if config.is_sqlite and config.data_dir.exists():
        free = shutil.disk_usage(config.data_dir).free
        yield Finding(
            subject="disk",
            ok=free > _LOW_DISK_BYTES,
            message=f"{free // 1_000_000} MB free beside the database.",
            fix=""
            if free > _LOW_DISK_BYTES
            else "Free some space: ingest answers 503 when the disk is full.",
        )


def _database(services: Services) -> Iterator[Finding]:
    with services.store.read() as conn:
        count = workspaces.count(conn)
    yield Finding(
        subject="database", ok=True, message=f"{services.store.dialect}, migrated, {count} workspaces."
    )


def _clock(services: Services) -> Iterator[Finding]:
    with services.store.read() as conn:
        skew_us = abs(services.store.now_us(conn) - time.time_ns() // 1000)
    ok = skew_us < _CLOCK_SKEW_US
    fix = "" if ok else "Set both clocks by NTP. Leases and due times follow the database's clock."
    yield Finding(
        subject="clock", ok=ok, message=f"{skew_us / 1e6:.1f} s from the database's clock.", fix=fix
    )


def _keys(services: Services) -> Iterator[Finding]:
    broken = verify(services)
    fix = "Put the key they were sealed with back into BROADCAST_ENCRYPTION_KEYS." if broken else ""
    message = f"Do not open: {', '.join(broken)}." if broken else "Every sealed value opens."
    yield Finding(subject="keys", ok=not broken, message=message, fix=fix)


def _ledgers(services: Services) -> Iterator[Finding]:
    proof = prove(services.store)
    for fault in proof.faults:
        yield Finding(subject=fault.subject, ok=False, message=fault.message, fix=fault.fix)
    wrong = {fault.subject for fault in proof.faults}
    if "log" not in wrong:
        yield Finding(subject="log", ok=True, message=f"{proof.receipts} receipts kept, none missing.")
    if "ledger" not in wrong:
        message = f"{proof.ledgers} balance, and the attempts kept tell the same."
        yield Finding(subject="ledgers", ok=True, message=message)
    if "contents" not in wrong:
        yield Finding(subject="contents", ok=True, message="None is kept that no destination is owed.")
    if "lease" not in wrong:
        yield Finding(subject="leases", ok=True, message="None is held by a worker that has died.")


def _sums(services: Services) -> Iterator[Finding]:
    found = sums_proof.prove(services.store, retention_us=services.config.retention_us)
    for fault in found.faults:
        yield Finding(subject=fault.subject, ok=False, message=fault.message, fix=fault.fix)
    if not found.faults:
        message = f"{found.days} days counted again from their receipts come to the same."
        yield Finding(subject="sums", ok=True, message=message)


def _operator_export(services: Services) -> Iterator[Finding]:
    declaration = reloading.declared(services.config)
    ok = services.operator_exports.is_current(declaration)
    told = "What is declared is what the variables and the file say."
    if not ok:
        told = "The variables and the file of this command say something else than what is declared."
    elif declaration is None:
        told = "None is declared."
    fix = "" if ok else "Give every process and command the same ones, then run: broadcast reload"
    yield Finding(subject="operator's export", ok=ok, message=told, fix=fix)


def _sign_in(services: Services) -> Iterator[Finding]:
    if services.sign_ins is None:
        return
    name = services.sign_ins.name
    try:
        services.sign_ins.check()
    except SignInRefused as refused:
        fix = "Compare BROADCAST_OIDC_ISSUER with what the provider publishes, and let this machine reach it."
        yield Finding(subject="sign-in", ok=False, message=f"{name}: {refused.detail}.", fix=fix)
    else:
        message = f"{name} answers. It has to send people back to {services.sign_ins.redirect_uri}"
        yield Finding(subject="sign-in", ok=True, message=message)


def _egress(services: Services) -> Iterator[Finding]:
    with services.store.read() as conn:
        for workspace in workspaces.all(conn):
            for stored in destinations.list_for(conn, workspace.id):
                for address in stored.address:
                    yield from _address(services, f"{workspace.slug}/{stored.name}", address)


def _address(services: Services, name: str, address: str) -> Iterator[Finding]:
    try:
        services.policy.check_url(address)
    except BroadcastError:
        fix = "Permit it with BROADCAST_EGRESS_ALLOW, or change the destination's address."
        yield Finding(subject="egress", ok=False, message=f"{name} may not be dialled.", fix=fix)
