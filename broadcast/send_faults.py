"""What is said where no usable answer came, whichever way a request went: stage, word, sentence."""

from collections.abc import Mapping
from typing import Final

from broadcast.errors import SendFailed

_Fault = tuple[str, str, str]
NAME_NOT_FOUND: Final[_Fault] = ("dns", "name_not_found", "The host name could not be found.")
TLS_FAILED: Final[_Fault] = ("tls", "tls_failed", "The server does not speak TLS properly on this port.")
REFUSED: Final[_Fault] = ("connect", "connection_refused", "The server refused the connection.")
UNREACHABLE: Final[_Fault] = ("connect", "unreachable", "The server could not be reached.")
LOST: Final[_Fault] = (
    "data",
    "connection_lost",
    "The connection was lost before the answer was complete.",
)
BAD_HEADER: Final[_Fault] = (
    "credential",
    "bad_header",
    "A header holds characters that cannot be sent.",
)

WRONG_NAME: Final = 62
"""OpenSSL's number of a certificate for another host; those of `_CERTIFICATES` are X509_V_ERR_* too."""

_UNTRUSTED: Final = "The server's certificate was issued by an authority that is not trusted."
_CERTIFICATES: Final[Mapping[int, tuple[str, str]]] = {
    10: ("certificate_expired", "The server's certificate has expired."),
    18: ("certificate_self_signed", "The server's certificate is self-signed."),
    19: ("certificate_untrusted", _UNTRUSTED),
    20: ("certificate_untrusted", _UNTRUSTED),
    WRONG_NAME: ("certificate_name", "The server's certificate is for another host name."),
    64: ("certificate_name", "The server's certificate is for another address."),
}
_LATE: Final[Mapping[str, str]] = {
    "dns": "The host name was not found in time.",
    "connect": "The server did not accept a connection in time.",
    "tls": "The server accepted the connection but did not complete TLS in time.",
    "data": "No complete answer came within {:g} seconds.",
}


def certificate(code: int | None) -> SendFailed:
    """Return the fault of a certificate that OpenSSL refuses with this number."""
    reason, sentence = _CERTIFICATES.get(
        code or 0, ("certificate_invalid", "The server's certificate could not be verified.")
    )
    return SendFailed("tls", reason, sentence)


def too_late(stage: str, deadline_s: float) -> SendFailed:
    """Return the fault of an attempt whose time ran out at a stage."""
    return SendFailed(stage, "timeout", _LATE[stage].format(deadline_s))
