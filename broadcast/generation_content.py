"""What a request asked and was answered, as OpenRouter's `GET /generation/content` tells it, while kept."""

from typing import Any, Final

from broadcast import messages, receipt_parser
from broadcast.content import associated_data
from broadcast.errors import Forbidden, NotFound
from broadcast.receipt import ProviderAttempt, Receipt
from broadcast.store import Store, receipts
from broadcast.store.keys import ApiKey
from broadcast.store.receipts import ReceiptRow
from broadcast.store.workspaces import Workspace
from broadcast.vault import Vault

_HOUR_US: Final = 3_600_000_000


class GenerationContents:
    """Opens kept contents for those who may see them."""

    def __init__(self, store: Store, vault: Vault, content_ttl_us: int) -> None:
        self._store = store
        self._vault = vault
        self._hours = content_ttl_us // _HOUR_US

    def view(self, key: ApiKey, workspace: Workspace, row: ReceiptRow, receipt: Receipt) -> dict[str, Any]:
        """Return input, output and error; an API key sees what it asked for itself, a management key all."""
        by = receipt.api_key.hash if receipt.api_key else None
        if key.kind != "management" and by != key.hash:
            raise Forbidden(
                "An API key reads the content of its own requests alone. Ask with a management key."
            )
        return _view(receipt_parser.with_content(receipt, self._opened(workspace, row)))

    def _opened(self, workspace: Workspace, row: ReceiptRow) -> bytes:
        if not row.has_content:
            raise NotFound(
                "This request was kept without content: content is kept only where a destination sends it."
            )
        with self._store.read() as conn:
            sealed = receipts.contents(conn, workspace.id, [row.seq]).get(row.seq)
        if sealed is None:
            raise NotFound(
                "The content of this request is no longer kept: it is dropped when no destination waits for "
                f"it, and after {self._hours} hours at the latest."
            )
        cipher = self._vault.content_cipher(workspace.content_key)
        return cipher.open(sealed, aad=associated_data(row.id))


def _view(receipt: Receipt) -> dict[str, Any]:
    return {"input": _input(receipt.input), "output": _output(receipt), "error": _error(receipt)}


def _input(asked: Any) -> dict[str, Any]:
    """Return messages in the words of their API, or the text when it is one."""
    found = messages.listed(asked) if asked is not None else []
    if len(found) == 1 and isinstance(found[0], str):
        return {"prompt": found[0]}
    return {"messages": found}


def _output(receipt: Receipt) -> dict[str, Any]:
    if receipt.output is None:
        return {"completion": None, "reasoning": None}
    told = messages.completion(messages.output_messages(receipt.output, receipt.finish_reason or "stop"))
    return {"completion": told["completion"], "reasoning": told["reasoning"]}


def _error(receipt: Receipt) -> dict[str, Any] | None:
    error = receipt.error
    if error is None:
        return None
    return {
        "status": error.code if isinstance(error.code, int) else None,
        "message": error.message,
        "provider_name": receipt.provider,
        "raw": None,
        "previous_errors": [_attempt(attempt) for attempt in receipt.attempts if attempt.error_type],
    }


def _attempt(attempt: ProviderAttempt) -> dict[str, Any]:
    """The SDK's type allows no null for the status of a provider that gave none."""
    return {
        "code": attempt.status_code or 0,
        "message": attempt.error_message or attempt.error_type or "",
        "provider_name": attempt.provider,
        "raw": None,
    }
