"""Calls to addresses the operator configured, such as providers; the door of `requests`."""

import contextlib
from collections.abc import Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import requests
import urllib3
from requests.adapters import HTTPAdapter

from broadcast.errors import SendFailed

_PIECE_BYTES: Final = 64 * 1024
_READ_FAULTS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Reply:
    """An answer whose body is still to be read; header names are lower case."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status: int = response.status_code
        self.headers: dict[str, str] = {name.lower(): value for name, value in response.headers.items()}

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives, without waiting for more than there is; raise `SendFailed`."""
        try:
            # `iter_content` would wait for a whole piece; `read1` returns what the socket has.
            while piece := self._response.raw.read1(_PIECE_BYTES, decode_content=True):
                yield piece
        except _READ_FAULTS as error:
            raise _failure(error, stage="data") from None

    def read(self, limit: int) -> bytes:
        """Return the whole body; raise `SendFailed` when it breaks off or exceeds `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise SendFailed("data", "too_large", f"The answer is larger than {limit} bytes.")
            parts.append(piece)
        return b"".join(parts)

    def close(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end."""
        with contextlib.suppress(*_READ_FAULTS):
            self._response.close()


class Outbound:
    """A pool of connections; no cookies, redirects, netrc or proxies from the environment, no retries."""

    def __init__(self, *, connections: int = 384) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=32, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        connect_timeout_s: float = 10,
        read_timeout_s: float = 300,
    ) -> Reply:
        """Return the answer once its headers are here; raise `SendFailed` when there is none."""
        try:
            response = self._session.request(
                method,
                url,
                data=body,
                headers={"User-Agent": "llm-broadcast", "Accept-Encoding": "identity", **headers},
                timeout=(connect_timeout_s, read_timeout_s),
                allow_redirects=False,
                stream=True,
            )
        except _READ_FAULTS as error:
            raise _failure(error, stage="connect") from None
        return Reply(response)

    def close(self) -> None:
        """Close every pooled connection."""
        self._session.close()


def _failure(error: Exception, *, stage: str) -> SendFailed:
    """Return the failure in our words; the library's text is left out because it holds the URL."""
    if isinstance(error, requests.exceptions.SSLError):
        return SendFailed("tls", "tls", "No secure connection could be made.")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return SendFailed("connect", "connect_timeout", "The connection was not made in time.")
    if isinstance(
        error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError | TimeoutError
    ):
        return SendFailed("data", "timeout", "No answer came in time.")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
        return SendFailed("address", "bad_address", "The address is not a valid URL.")
    if stage == "connect":
        return SendFailed("connect", "connection_failed", "The connection failed before an answer came.")
    return SendFailed("data", "connection_lost", "The connection was lost before the answer was complete.")
