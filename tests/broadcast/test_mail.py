"""Mail over a real SMTP server: TLS where it must be, words without secrets when it fails."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from broadcast.errors import ConfigError, SendFailed
from broadcast.mail import Mail, Mailer, MailServer, reachable
from tests import mail_server

MAIL = Mail(
    id="notice-7",
    to=("ann@example.com", "bob@example.com"),
    subject="Broadcast: Grafana prod needs attention",
    text="It answered “401”.\n\n.hidden dot\nhttps://broadcast.example.com\n",
    at_us=1_795_254_068_000_000,
)


def send(server: mail_server.MailServer, mail: Mail = MAIL, **more: Any) -> None:
    where: dict[str, Any] = {
        "host": "localhost",
        "port": server.port,
        "sender": "broadcast@example.com",
        "tls": server.tls,
    }
    mailer = Mailer(MailServer(**where | more), tls=mail_server.client_tls())
    asyncio.run(mailer.send(mail, deadline_s=5))


# -- BROADCAST_SMTP_URL --------------------------------------------------------------------------


def test_an_address_names_server_sender_and_login() -> None:
    server = MailServer.parse("smtp://us%40er:p%2Fw@mail.example.com:2587/?from=broadcast%2Bx@example.com")

    assert (server.host, server.port, server.sender) == ("mail.example.com", 2587, "broadcast+x@example.com")
    assert (server.user, server.password, server.tls) == ("us@er", "p/w", "starttls")
    assert "p/w" not in repr(server)


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("smtp://mail.example.com/?from=a@b.example", 587, "starttls"),
        ("smtps://mail.example.com/?from=a@b.example", 465, "from_start"),
        ("smtps://localhost/?from=a@b.example", 465, "from_start"),
        ("smtp://localhost:25?from=a@b.example", 25, "none"),
        ("smtp://127.0.0.8:25/?from=a@b.example", 25, "none"),
        ("smtp://[::1]:25/?from=a@b.example", 25, "none"),
        ("smtp://10.0.0.1:25/?from=a@b.example", 25, "starttls"),
        ("smtp://localhost.example.com/?from=a@b.example", 587, "starttls"),
    ],
)
def test_plain_text_goes_to_this_machine_alone(url: str, port: int, tls: str) -> None:
    server = MailServer.parse(url)

    assert (server.port, server.tls) == (port, tls)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com/?from=a@b.example",
        "smtp://mail.example.com",
        "smtp://mail.example.com/?from=nobody",
        "smtp://mail.example.com/?from=a@b.example%0ABcc:x@y.example",
        "smtp://mail.example.com/?sender=a@b.example",
        "smtp://mail.example.com/?from=a@b.example&from=c@d.example",
        "smtp://mail.example.com/path?from=a@b.example",
        "smtp://mail.example.com:port/?from=a@b.example",
        "smtp://user@mail.example.com/?from=a@b.example",
        "smtp://user:pass%0D%0Aword@mail.example.com/?from=a@b.example",
        "smtp:///?from=a@b.example",
    ],
)
def test_a_wrong_address_is_refused_with_variable_and_form(url: str) -> None:
    with pytest.raises(ConfigError, match=r"BROADCAST_SMTP_URL must be like smtp://user:password@smtp") as at:
        MailServer.parse(url)

    assert url not in str(at.value)


# -- sending -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["none", "starttls", "from_start"])
def test_a_mail_arrives_as_it_was_written(tls: Any) -> None:
    with mail_server.MailServer(tls=tls, login=("broadcast", "secret")) as server:
        send(server, user="broadcast", password="secret")

    mail = server.mails[0]
    assert (mail.sender, mail.to) == ("broadcast@example.com", MAIL.to)
    assert (mail.text, mail.message["Subject"]) == (MAIL.text, MAIL.subject)
    assert mail.message["From"] == "Broadcast <broadcast@example.com>"
    assert mail.message["To"] == "ann@example.com, bob@example.com"
    assert mail.message["Date"] == "Sat, 21 Nov 2026 09:41:08 -0000"
    assert mail.message["Message-ID"] == "<notice-7@example.com>"
    assert (mail.user, mail.encrypted) == ("broadcast", tls != "none")


def test_a_subject_can_not_begin_another_header() -> None:
    with mail_server.MailServer() as server:
        send(server, replace(MAIL, subject="One\r\nBcc: two@x.example"))

    assert server.mails[0].message["Subject"] == "One Bcc: two@x.example"
    assert server.mails[0].message["Bcc"] is None


def test_a_server_that_offers_no_tls_gets_neither_login_nor_mail() -> None:
    with mail_server.MailServer(login=("broadcast", "secret")) as server, pytest.raises(SendFailed) as failed:
        send(server, tls="starttls", user="broadcast", password="secret")

    assert failed.value.stage == "tls"
    assert server.mails == []


@pytest.mark.parametrize("tls", ["starttls", "from_start"])
def test_a_certificate_that_is_not_trusted_gets_no_mail(tls: Any) -> None:
    with mail_server.MailServer(tls=tls) as server:
        mailer = Mailer(MailServer(host="localhost", port=server.port, sender="a@b.example", tls=tls))
        with pytest.raises(SendFailed, match="certificate is not trusted"):
            asyncio.run(mailer.send(MAIL))

    assert server.mails == []


def test_a_refused_login_is_said_without_the_password() -> None:
    with mail_server.MailServer(login=("broadcast", "right")) as server, pytest.raises(SendFailed) as failed:
        send(server, user="broadcast", password="wr0ng-pw")

    assert str(failed.value) == "The mail server refused user or password (535)."


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"RCPT": "550 no such user"}, "The mail server refused every recipient."),
        ({"MAIL": "550 not you"}, "The mail server refused the sender's address (550)."),
        ({"DATA": "554 spam"}, "The mail server did not take the mail (554)."),
        ({"DATA": None}, "The mail server closed the connection."),
    ],
)
def test_a_refusal_is_said_in_our_words(says: dict[str, str | None], words: str) -> None:
    with mail_server.MailServer(says=says) as server, pytest.raises(SendFailed) as failed:
        send(server)

    assert str(failed.value) == words


def test_a_server_that_hangs_ends_in_time() -> None:
    with mail_server.MailServer(hangs={"MAIL"}) as server:
        where = MailServer(host="localhost", port=server.port, sender="a@b.example", tls="none")
        with pytest.raises(SendFailed, match="in time"):
            asyncio.run(Mailer(where).send(MAIL, deadline_s=0.2))


def test_a_mail_that_was_taken_is_sent_whatever_the_good_bye() -> None:
    with mail_server.MailServer(says={"QUIT": None}) as server:
        send(server)

    assert len(server.mails) == 1


def test_nobody_at_home_is_said() -> None:
    with mail_server.MailServer() as server:
        pass
    with pytest.raises(SendFailed, match="refused the connection"):
        send(server)


def test_addresses_that_mail_can_not_reach_are_left_out() -> None:
    odd = ("bob", "a b@x.example", "c@d.example\nBcc: e@f.example", "ü@x.example", "a@b@x.example")

    found = reachable(["ann@example.com", *odd])

    assert found == ("ann@example.com",)
