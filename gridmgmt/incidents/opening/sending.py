"""Sends a few bytes to an address that somebody else named, without being led where it must not go.

The name is resolved once, every address it has is looked at, and the connection goes to the one that was
looked at: a name that answers differently the second time leads nowhere. No redirect is followed.
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gridmgmt.errors import InputError, NotAllowedError

TIMEOUT_S = 10
LONGEST_URL = 500
# Of the answer only the status counts; so much of its body is read and thrown away.
READ_BYTES = 4096
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Answer:
    """The status of an answer, None when there was none, and a word about what came of it."""

    status: int | None
    words: str

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class _Target:
    scheme: str
    host: str
    port: int
    path: str


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was looked at, under the name that was asked for."""

    def __init__(self, target: _Target, address: str) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT_S)
        self._address = address
        self._tls = ssl.create_default_context() if target.scheme == "https" else None

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT_S)
        if self._tls:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def check_url(url: str) -> None:
    """Raise InputError unless this is an http(s) address of a host, without a name and password in it."""
    _target(url)


def post(url: str, body: bytes, headers: Mapping[str, str], *, allow_here: bool = False) -> Answer:
    """Send a body by POST and return what came of it; a fault of the other side is an answer, no error.

    Raises InputError as `check_url`, NotAllowedError for an address of this machine or of its own cable
    (loopback, link-local), unless `allow_here`.
    """
    target = _target(url)
    try:
        connection = _Connection(target, _address(target, allow_here=allow_here))
        try:
            connection.request("POST", target.path, body, dict(headers))
            answer = connection.getresponse()
            answer.read(READ_BYTES)
            return Answer(answer.status, f"HTTP {answer.status}")
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as why:
        # The kind of fault, not its text: that may hold what the other side wrote.
        return Answer(None, type(why).__name__)


def _target(url: str) -> _Target:
    allowed = f"an http or https address of up to {LONGEST_URL} characters, without a password"
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError):
        raise InputError("url", "no address", allowed) from None
    plain = len(url) <= LONGEST_URL and url.isascii() and url.isprintable() and " " not in url
    if not plain or parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        raise InputError("url", "another kind of address", allowed)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def _address(target: _Target, *, allow_here: bool) -> str:
    known = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in known]
    if not allow_here and any(_is_here(address) for address in addresses):
        raise NotAllowedError(f"{target.host} is this machine or its own cable: nothing is sent there")
    return addresses[0]


def _is_here(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast
