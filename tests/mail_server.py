"""A real SMTP server on loopback that keeps what it is given.

    with MailServer() as server:
        send_to(server.port)
        server.mails[0].to; server.mails[0].message["Subject"]

`MailServer(tls="starttls")` offers STARTTLS, `tls="from_start"` begins with it; `client_tls()` trusts it.
`login=("user", "password")` takes mail from them alone. `says={"RCPT": "550 no such user"}` answers a command
so; `says={"DATA": None}` hangs up there; `hangs={"EHLO"}` never answers that command.
"""

import base64
import contextlib
import email
import email.policy
import socket
import socketserver
import ssl
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cache
from typing import Any, Literal, Self

import trustme


@dataclass(frozen=True, kw_only=True)
class Received:
    """One mail as it was handed over; `encrypted` tells whether it came through TLS."""

    sender: str
    to: tuple[str, ...]
    message: EmailMessage
    user: str
    encrypted: bool

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


def client_tls() -> ssl.SSLContext:
    """Return what a client trusts the server with, under the name localhost."""
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context


def _server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert("localhost").configure_cert(context)
    return context


@dataclass(kw_only=True)
class MailServer:
    tls: Literal["none", "starttls", "from_start"] = "none"
    login: tuple[str, str] | None = None
    says: Mapping[str, str | None] = field(default_factory=dict)
    hangs: Collection[str] = ()
    mails: list[Received] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, **query: str) -> str:
        """Return the address of BROADCAST_SMTP_URL for this server."""
        user = f"{self.login[0]}:{self.login[1]}@" if self.login else ""
        scheme = "smtps" if self.tls == "from_start" else "smtp"
        sender = query.get("sender", "broadcast@example.com")
        return f"{scheme}://{user}localhost:{self.port}/?from={sender}"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True

    def __init__(self, mail_server: MailServer) -> None:
        self.mail_server = mail_server
        super().__init__(("127.0.0.1", 0), _Conversation)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or does not trust us, is part of most tests here."""


class _Conversation(socketserver.BaseRequestHandler):
    server: _Server

    def setup(self) -> None:
        self.script = self.server.mail_server
        self.channel: socket.socket = self.request
        self.channel.settimeout(10)
        self.encrypted = False
        self.user = self.sender = ""
        self.to: list[str] = []
        if self.script.tls == "from_start":
            self._encrypt()
        self.lines = self.channel.makefile("rb")

    def handle(self) -> None:
        self._say("220 localhost ESMTP")
        while line := self.lines.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb in self.script.hangs:
                self.script.stopping.wait(10)
                return
            if verb in self.script.says:
                answer = self.script.says[verb]
                if answer is None:
                    return
                self._say(answer)
            elif not self._obey(verb, line):
                return

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            self.lines.close()
            self.channel.close()

    def _obey(self, verb: str, line: str) -> bool:
        """Answer one command; return whether the conversation goes on."""
        if verb == "EHLO":
            offers = ["STARTTLS"] if self.script.tls == "starttls" and not self.encrypted else []
            offers += ["AUTH PLAIN"] if self.script.login else []
            lines = ["localhost", *offers, "8BITMIME"]
            for index, offer in enumerate(lines):
                self._say(f"250{' ' if index == len(lines) - 1 else '-'}{offer}")
        elif verb == "STARTTLS":
            self._say("220 go ahead")
            self.lines.close()
            self._encrypt()
            self.lines = self.channel.makefile("rb")
        elif verb == "AUTH":
            self._log_in(line.split()[2])
        elif verb == "MAIL" and self.script.login and not self.user:
            self._say("530 log in first")
        elif verb == "MAIL":
            self.sender = line.partition("<")[2].partition(">")[0]
            self._say("250 ok")
        elif verb == "RCPT":
            self.to.append(line.partition("<")[2].partition(">")[0])
            self._say("250 ok")
        elif verb == "DATA":
            self._take()
        else:
            self._say("221 bye" if verb == "QUIT" else "250 ok")
        return verb != "QUIT"

    def _log_in(self, encoded: str) -> None:
        _, user, password = base64.b64decode(encoded).decode().split("\0")
        if (user, password) == self.script.login:
            self.user = user
            self._say("235 welcome")
        else:
            self._say(f"535 {password} is not the password")

    def _take(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.lines.readline()) not in {b".\r\n", b""}:
            lines.append(line[1:] if line.startswith(b".") else line)
        message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.script.mails.append(
            Received(
                sender=self.sender,
                to=tuple(self.to),
                message=message,
                user=self.user,
                encrypted=self.encrypted,
            )
        )
        self._say("250 taken")

    def _encrypt(self) -> None:
        self.channel = _server_tls().wrap_socket(self.channel, server_side=True)
        self.encrypted = True

    def _say(self, text: str) -> None:
        self.channel.sendall(f"{text}\r\n".encode())
