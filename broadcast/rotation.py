"""Encryption keys over time: wrap everything with the first key, and prove that everything opens."""

from typing import TYPE_CHECKING

from broadcast import notice_settings, notice_webhook, operator_export
from broadcast.errors import VaultError
from broadcast.store import destinations, operator_exports, workspaces

if TYPE_CHECKING:
    from broadcast.runtime import Services


def rotate(services: "Services") -> int:
    """Wrap every sealed value with the first key and return how many there are; content is not touched."""
    count = 0
    with services.store.write() as conn:
        count += operator_export.rewrap(conn, services.vault)
        for workspace in workspaces.all(conn):
            workspaces.reseal(conn, workspace.id, services.vault.rewrap(workspace.content_key))
            count += 1
            count += notice_settings.rewrap(conn, services.vault, workspace)
            for stored in destinations.list_for(conn, workspace.id):
                destinations.reseal(conn, stored.id, stored.version, services.vault.rewrap(stored.sealed))
                count += 1
    return count


def verify(services: "Services") -> list[str]:
    """Return the names of what cannot be opened with the keys given."""
    broken: list[str] = []
    with services.store.read() as conn:
        try:
            operator_export.opened(services.vault, operator_exports.get(conn))
        except VaultError:
            broken.append("operator's export")
        for workspace in workspaces.all(conn):
            try:
                services.vault.content_cipher(workspace.content_key)
            except VaultError:
                broken.append(f"{workspace.slug}: content key")
            try:
                notice_webhook.opened(services.vault, workspace)
            except VaultError:
                broken.append(f"{workspace.slug}: notification webhook")
            for stored in destinations.list_for(conn, workspace.id):
                try:
                    services.vault.open_secrets(
                        stored.sealed,
                        workspace=workspace.uid,
                        destination=stored.uid,
                        address=stored.address,
                    )
                except VaultError:
                    broken.append(f"{workspace.slug}: {stored.name}")
    return broken
