"""Send a mail through the operator's server.                              door: smtplib.

Plain SMTP goes to this machine alone; to every other host TLS is required and the certificate is verified.
"""

import asyncio
import contextlib
import re
import smtplib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from ipaddress import ip_address
from typing import Final, Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from broadcast.errors import ConfigError, SendFailed

DEADLINE_S: Final = 15.0
_PART_S: Final = 1.0
_FORM: Final = (
    "BROADCAST_SMTP_URL must be like smtp://user:password@smtp.example.com:587/?from=broadcast@example.com, "
    "or smtps:// where TLS begins at once; special characters are percent-encoded."
)
_PORTS: Final = {"smtp": 587, "smtps": 465}
# Only what every server takes as it stands: no quotes, no comments, nothing that could begin a new header.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,253}")


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where mail is handed over; `tls` says whether it is there from the start, asked for, or not needed."""

    host: str
    port: int
    sender: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    tls: Literal["none", "starttls", "from_start"]

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the server of `BROADCAST_SMTP_URL`; raise `ConfigError` naming the variable and its form."""
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise ConfigError(_FORM) from None
        host, (name, _, value) = parts.hostname or "", parts.query.partition("=")
        sender = unquote(value)
        if not _HOST.fullmatch(host) or parts.path not in {"", "/"} or parts.fragment:
            raise ConfigError(_FORM)
        if name != "from" or not is_address(sender):
            raise ConfigError(_FORM)
        user, password = _credentials(parts)
        return cls(host=host, port=port, sender=sender, user=user, password=password, tls=_tls(parts, host))


def _credentials(parts: SplitResult) -> tuple[str, str]:
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password) or not (user + password).isprintable():
        raise ConfigError(_FORM)
    return user, password


def _tls(parts: SplitResult, host: str) -> Literal["none", "starttls", "from_start"]:
    if parts.scheme == "smtps":
        return "from_start"
    return "none" if is_this_machine(host) else "starttls"


def is_this_machine(host: str) -> bool:
    """Return whether a host is this machine itself, which no TLS has to protect."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def is_address(text: str) -> bool:
    """Return whether mail can be sent to this address."""
    return _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One plain text; the same `id` marks a repeat, so that mailboxes show it once."""

    id: str
    to: tuple[str, ...]
    subject: str
    text: str
    at_us: int


class Mailer:
    """Hands mails to one server, each over a connection of its own."""

    def __init__(self, server: MailServer, *, tls: ssl.SSLContext | None = None) -> None:
        if tls and not (tls.check_hostname and tls.verify_mode is ssl.CERT_REQUIRED):
            raise ValueError("TLS is always verified.")
        self._server = server
        self._tls = tls

    async def send(self, mail: Mail, *, deadline_s: float = DEADLINE_S) -> None:
        """Hand a mail over from a thread of its own; raise `SendFailed`, whose text holds no secret."""
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.to_thread(self.send_now, mail, deadline_s=deadline_s)
        except TimeoutError:
            raise _too_late() from None

    def send_now(self, mail: Mail, *, deadline_s: float = DEADLINE_S) -> None:
        """Hand a mail over and wait for the server's word; raise `SendFailed`."""
        try:
            smtp = self._connected(deadline_s)
            try:
                self._hand_over(smtp, self._message(mail), mail.to)
            finally:
                _part(smtp)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise _fault(error) from None

    def _connected(self, timeout_s: float) -> smtplib.SMTP:
        server = self._server
        # Our own name is the sender's domain: smtplib would ask the network for it.
        place = (server.host, server.port, server.sender.rpartition("@")[2])
        if server.tls == "from_start":
            return smtplib.SMTP_SSL(*place, timeout=timeout_s, context=self._context())
        return smtplib.SMTP(*place, timeout=timeout_s)

    def _hand_over(self, smtp: smtplib.SMTP, message: EmailMessage, to: tuple[str, ...]) -> None:
        if self._server.tls == "starttls":
            smtp.starttls(context=self._context())
        if self._server.user:
            smtp.login(self._server.user, self._server.password)
        smtp.send_message(message, self._server.sender, list(to))

    def _context(self) -> ssl.SSLContext:
        return self._tls or ssl.create_default_context()

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = f"Broadcast <{self._server.sender}>"
        message["To"] = ", ".join(mail.to)
        message["Subject"] = " ".join(mail.subject.split())
        message["Date"] = formatdate(mail.at_us / 1_000_000)
        message["Message-ID"] = f"<{mail.id}@{self._server.sender.rpartition('@')[2]}>"
        # Out-of-office answers to a machine help nobody.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message


def _part(smtp: smtplib.SMTP) -> None:
    """Say good-bye: the mail has been taken or not, and nothing that happens now can change it."""
    with contextlib.suppress(OSError, smtplib.SMTPException):
        if smtp.sock:
            smtp.sock.settimeout(_PART_S)
        smtp.quit()
    smtp.close()


def reachable(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses that mail can be sent to, in order."""
    return tuple(address for address in addresses if is_address(address))


def _too_late() -> SendFailed:
    return SendFailed("data", "timeout", "The mail server did not take the mail in time.")


_FAULTS: Final[tuple[tuple[type[Exception], str, str, str], ...]] = (
    (smtplib.SMTPAuthenticationError, "credential", "login", "The mail server refused user or password."),
    (smtplib.SMTPRecipientsRefused, "data", "recipients", "The mail server refused every recipient."),
    (smtplib.SMTPSenderRefused, "data", "sender", "The mail server refused the sender's address."),
    (smtplib.SMTPNotSupportedError, "tls", "no_tls", "The mail server offers no STARTTLS, or no log-in."),
    (smtplib.SMTPServerDisconnected, "connect", "hung_up", "The mail server closed the connection."),
    (smtplib.SMTPConnectError, "connect", "unreachable", "The mail server did not greet."),
    (ssl.SSLCertVerificationError, "tls", "certificate", "The mail server's certificate is not trusted."),
    (ssl.SSLError, "tls", "tls_failed", "The mail server does not speak TLS properly on this port."),
    (ConnectionRefusedError, "connect", "refused", "The mail server refused the connection."),
    (smtplib.SMTPException, "data", "not_taken", "The mail server did not take the mail."),
    (OSError, "connect", "unreachable", "The mail server could not be reached."),
)


def _fault(error: Exception) -> SendFailed:
    """Return our own words: a server's could repeat the password it was given."""
    if isinstance(error, TimeoutError):
        return _too_late()
    for kind, stage, reason, sentence in _FAULTS:
        if isinstance(error, kind):
            code = getattr(error, "smtp_code", None)
            return SendFailed(stage, reason, f"{sentence[:-1]} ({code})." if code else sentence)
    return SendFailed("data", "bad_mail", "The mail could not be written.")
