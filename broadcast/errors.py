"""Every exception of the project, drawn as a tree.

BroadcastError
├── ConfigError            the process stops at start and names the variable
├── SettingsError          a destination's settings are wrong: form errors by field, API 422
├── ReceiptError           one receipt is refused: named by field, its neighbours go on
│   └── TooManyReceipts    413: one request holds more receipts than are taken at once
├── NotFound               404: does not exist, or belongs to a workspace out of reach
├── Forbidden              403: known, but not allowed
├── Conflict               409: the name, or the number of destinations, is taken
├── Unstorable             422: a value that no column takes, such as a text with NUL
├── Unavailable            503 with Retry-After: the database, the writer or a slot is not to be had
├── TooManyRequests        429 with Retry-After: a rate limit
├── GateClosed             422: the live test failed, nothing was saved; holds the report
├── NotApplied             422: settings for a whole workspace are wrong, or a test failed
├── SecretRequired         422: the address changed, the secret must be entered again
├── AddressRefused         egress policy: the address may not be dialled
├── SignInRefused          the identity provider's word opens no account: holds a reason, never a token
├── SendFailed             no usable answer: holds the stage and a reason, never a URL or a secret
└── VaultError             a stored secret cannot be opened: the destination is paused
"""

from typing import Any


class BroadcastError(Exception):
    """The root; its text is a sentence for a person."""


class ConfigError(BroadcastError):
    """The environment is wrong; the text names the variable and the fix."""


class SettingsError(BroadcastError):
    """One or more settings are wrong; `problems` maps the outside field name to a sentence."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
        self.problems = problems


class ReceiptError(BroadcastError):
    """One receipt is refused; `field` is a dotted path, empty when the whole item is at fault."""

    def __init__(self, message: str, *, field: str = "", id: str | None = None) -> None:  # noqa: A002 - the contract's word
        super().__init__(message)
        self.message = message
        self.field = field
        self.id = id


class TooManyReceipts(ReceiptError):  # noqa: N818
    """One request holds more receipts than are taken at once; none of them was stored."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The body holds more than {most} receipts: send fewer at once.")


class NotFound(BroadcastError):  # noqa: N818 - named by what happens next, as all of these are
    """What was asked for does not exist, or belongs to a workspace out of reach."""


class Forbidden(BroadcastError):  # noqa: N818
    """The asker is known and may not do this."""


class Conflict(BroadcastError):  # noqa: N818
    """A name is taken, a limit is reached, or an edit is older than what is saved."""

    def __init__(self, message: str, *, field: str | None = None, reason: str = "conflict") -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason


class Unstorable(BroadcastError):  # noqa: N818
    """One of the values is none that the database keeps; which one, it does not say."""

    def __init__(self) -> None:
        super().__init__("A text holds a character that cannot be kept, or a number is too large: change it.")


class Unavailable(BroadcastError):  # noqa: N818
    """Something we need is not to be had just now; `retry_after_s` says when to come back."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRequests(BroadcastError):  # noqa: N818
    """A rate limit is reached; `retry_after_s` says when to come back."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GateClosed(BroadcastError):  # noqa: N818
    """The live test failed, so nothing was saved; `report` is the test's `Report`."""

    def __init__(self, report: Any) -> None:
        super().__init__("The connection test failed, so nothing was saved.")
        self.report = report


class NotApplied(BroadcastError):  # noqa: N818
    """Settings of a whole workspace were not applied; `problems` are dicts of destination, field, message.

    `saved` names what was changed before somebody else's edit came in between.
    """

    def __init__(self, problems: list[dict[str, Any]], saved: tuple[str, ...] = ()) -> None:
        what = f"Only a part was changed: {', '.join(saved)}." if saved else "Nothing was changed."
        super().__init__(what)
        self.problems = problems
        self.saved = saved


class SecretRequired(BroadcastError):  # noqa: N818
    """The address changed, so the named secrets must be entered again; `fields` are outside names."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__("The address changed: enter the secret again. " + ", ".join(fields))
        self.fields = fields


class AddressRefused(BroadcastError):  # noqa: N818
    """Egress policy refuses the address; the text is the same for every refused address."""

    def __init__(self) -> None:
        super().__init__("This address is not allowed.")


class SendFailed(BroadcastError):  # noqa: N818
    """A request got no usable answer; `stage` says where it ended, `reason` is a stable word."""

    def __init__(self, stage: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.reason = reason


class SignInRefused(BroadcastError):  # noqa: N818
    """The identity provider's word opens no account; `reason` is a stable word, `detail` is for the log."""

    def __init__(self, reason: str, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.detail = detail


class VaultError(BroadcastError):
    """A sealed value cannot be opened: wrong key, wrong place, or changed bytes."""
