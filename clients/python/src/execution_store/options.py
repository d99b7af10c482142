"""How a server is reached: the options of a connection, checked and put into gRPC's terms."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Callable, Union

import grpc

from .errors import InvalidArgumentError, invalid_field
from .limits import DEFAULT_ADDRESS, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES

__all__ = ["TlsOptions"]

Headers = Mapping[str, Union[str, bytes]]
HeadersSource = Union[Headers, Callable[[], Headers]]
AsyncHeadersSource = Union[Headers, Callable[[], Union[Headers, Awaitable[Headers]]]]
Metadata = tuple[tuple[str, Union[str, bytes]], ...]
Pem = Union[str, bytes]

DEFAULT_TIMEOUT = 30.0
"""Seconds that a call has if neither it nor its service names any."""

_MIB = 1024 * 1024
# Longer times count as no limit: some servers take one of more than 24.8 days, which overflows
# their timers, for one that has passed.
_MAX_TIMEOUT = 1e6

_HOST_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^:/\s\[\]@]+):(?P<port>[0-9]{1,5})\Z")
_GRPC_TARGET = re.compile(r"(?:dns|ipv4|ipv6):\S+\Z")
_URL = re.compile(r"[a-z]+://", re.IGNORECASE)
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])\Z", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[0-9a-z_.-]+\Z")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*\Z")

_CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # Above the service's limits, whose own errors say more.
    ("grpc.max_send_message_length", MAX_REQUEST_BYTES + _MIB),
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES + _MIB),
    # What may be repeated is decided here, by the outcome of a write, and not by the library.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    # The library waits a second or more by default, during which every repetition of a call fails
    # unsent.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Whoever reads a stream takes its messages in itself: a third less work for each.
    ("SingleThreadedUnaryStream", 1),
    # A connection that died without a word is found, and replaced, within the default time of one
    # call.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A channel of a forked process must not take over its parent's connection.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class TlsOptions:
    """How TLS is done.

    Attributes:
        root_certificates: PEM of the certificate authorities to trust; None for those that gRPC
            comes with
        private_key: PEM of the client's key, where the server asks for one; with
            `certificate_chain`
        certificate_chain: PEM of the client's certificate, where the server asks for one; with
            `private_key`
        server_name: the name that the server's certificate must carry; None for the host of the
            address
    """

    root_certificates: Pem | None = None
    private_key: Pem | None = None
    certificate_chain: Pem | None = None
    server_name: str | None = None

    def __repr__(self) -> str:
        """Nothing of the key."""
        return f"TlsOptions(server_name={self.server_name!r})"


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        label: what the user wrote, for messages
        target: the target of a gRPC channel
        local: whether it is this machine, which no HTTP proxy leads to
    """

    label: str
    target: str
    local: bool


@dataclass(frozen=True)
class Endpoint:
    """All that a gRPC channel is made of.

    Attributes:
        address: where the server is
        options: gRPC channel arguments
        credentials: None for a connection without TLS
    """

    address: Address
    options: tuple[tuple[str, int | str], ...]
    credentials: grpc.ChannelCredentials | None


def endpoint(address: str | None, tls: bool | TlsOptions) -> Endpoint:
    """Checks what says where the server is and how it is reached.

    Raises:
        InvalidArgumentError: ``CLIENT_OPTION_INVALID``
    """
    parsed = parse_address(address or os.environ.get("EXECUTION_STORE_ADDRESS") or DEFAULT_ADDRESS)
    options = list(_CHANNEL_OPTIONS)
    if parsed.local:
        # The library takes http_proxy from the environment, also for this very machine.
        options.append(("grpc.enable_http_proxy", 0))
    if isinstance(tls, TlsOptions) and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
        options.append(("grpc.default_authority", tls.server_name))
    return Endpoint(parsed, tuple(options), _credentials(tls))


def parse_address(text: str) -> Address:
    """Takes an address apart.

    Raises:
        InvalidArgumentError: ``CLIENT_OPTION_INVALID``
    """
    if not isinstance(text, str):
        raise _address_error("is no str")
    if text.startswith("unix:"):
        path = re.sub(r"^//(?=/)", "", text[len("unix:") :])
        if path.startswith("//"):
            raise _address_error("has two slashes after unix:, which would make a host of the path")
        if path == "":
            raise _address_error("has no path after unix:")
        return Address(text, f"unix:{path}", local=True)
    if _GRPC_TARGET.match(text):
        return Address(text, text, local=False)
    if _URL.match(text):
        raise _address_error(
            "is a URL; leave the part up to :// out (TLS is the option tls)", with_hint=False
        )
    match = _HOST_PORT.match(text)
    if match is None:
        raise _address_error("has no host or no port")
    if not 1 <= int(match["port"]) <= 65_535:  # noqa: PLR2004
        raise _address_error("has a port outside 1 to 65535")
    # The scheme is said, so that no host name is taken for one.
    return Address(text, f"dns:{text}", local=_LOOPBACK.match(match["host"]) is not None)


def _address_error(problem: str, *, with_hint: bool = True) -> InvalidArgumentError:
    hint = f"; expected HOST:PORT such as {DEFAULT_ADDRESS}, or unix:/PATH" if with_hint else ""
    return invalid_field("CLIENT_OPTION_INVALID", "address", f"{problem}{hint}")


def _credentials(tls: bool | TlsOptions) -> grpc.ChannelCredentials | None:
    if tls is False:
        return None
    if tls is True:
        return grpc.ssl_channel_credentials()
    if not isinstance(tls, TlsOptions):
        raise invalid_field(
            "CLIENT_OPTION_INVALID", "tls", "is neither a bool nor TlsOptions; expected one of them"
        )
    if (tls.private_key is None) != (tls.certificate_chain is None):
        raise invalid_field(
            "CLIENT_OPTION_INVALID",
            "tls",
            "has one of private_key and certificate_chain; give both, or neither",
        )
    return grpc.ssl_channel_credentials(
        _pem(tls.root_certificates, "root_certificates"),
        _pem(tls.private_key, "private_key"),
        _pem(tls.certificate_chain, "certificate_chain"),
    )


def _pem(text: Pem | None, name: str) -> bytes | None:
    data = text.encode() if isinstance(text, str) else text
    if data is not None and (not isinstance(data, bytes) or b"-----BEGIN " not in data):
        raise invalid_field(
            "CLIENT_OPTION_INVALID",
            f"tls.{name}",
            "is no PEM; expected the content of a PEM file, as str or bytes",
        )
    return data


def check_timeout(timeout: float) -> float:
    """The seconds that a call has; ``math.inf`` for no limit.

    Raises:
        InvalidArgumentError: ``CLIENT_OPTION_INVALID``
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise invalid_field(
            "CLIENT_OPTION_INVALID",
            "timeout",
            "is not a number of seconds greater than 0; give math.inf for no limit",
        )
    return math.inf if timeout > _MAX_TIMEOUT else timeout


def to_metadata(headers: Headers) -> Metadata:
    """Checks headers and puts them into gRPC's form.

    Raises:
        InvalidArgumentError: ``CLIENT_OPTION_INVALID``; it never holds the value, which may be a
            secret
    """
    if not isinstance(headers, Mapping):
        raise invalid_field(
            "CLIENT_OPTION_INVALID", "headers", "are no mapping of names to values; expected a dict"
        )
    for name, value in headers.items():
        binary = isinstance(name, str) and name.endswith("-bin")
        fits = (
            isinstance(value, bytes)
            if binary
            else isinstance(value, str) and _HEADER_VALUE.match(value) is not None
        )
        if not isinstance(name, str) or not _HEADER_NAME.match(name) or not fits:
            raise invalid_field(
                "CLIENT_OPTION_INVALID",
                f"headers[{name!r}]",
                "is no HTTP/2 header; expected a name of lower-case letters, digits, and -_. and "
                "a value of visible "
                "ASCII, or bytes for a name that ends in -bin",
            )
    return tuple(headers.items())
