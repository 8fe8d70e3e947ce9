"""The one HTTP client towards the authorization server, and every way a call can end.

Below everything in `provider` that speaks. A call ends in a Reply or in a Fault, and a Fault says
the one thing that a retry depends on: can the server have seen the request?
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import perf_counter
from typing import Any, Final, cast
from urllib.parse import urlencode

import httpx
import msgspec

from bff.config.certificates import client_tls
from bff.config.provider_section import Provider
from bff.journal.log import Event, tell
from bff.journal.metrics import PROVIDER_CALLS, PROVIDER_SECONDS, call_outcome, count, timed
from bff.journal.trace import asked
from bff.problem import Reason, Refused
from bff.provider.dpop import read_nonce

MAX_BODY: Final = 1024 * 1024  # octets
MAX_RETRY_AFTER: Final = 3600  # seconds; a longer wait is a mistake, and would look like an outage

# A value that is many is sent once for each.
Form = Mapping[str, str | tuple[str, ...]]


class Fault(StrEnum):
    """No whole answer came. NOT_SENT is proven: not one byte of the request left."""

    NOT_SENT = "not_sent"
    UNSURE = "unsure"


class Share(StrEnum):
    """Whose part of the connections a call uses: logins cannot take those of refreshes (C-03)."""

    LOGIN = "login"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer, of whatever status; `retry_after` in seconds from now."""

    status: int
    content_type: str = field(repr=False)  # the media type alone, in lower case
    body: bytes = field(repr=False)
    retry_after: int | None = None
    date: float | None = None  # seconds since the epoch, by the server's own clock
    dpop_nonce: str | None = field(default=None, repr=False)

    def json_object(self) -> dict[str, object] | None:
        """The body where it is a JSON object and says so; None for all else."""
        media = self.content_type
        if media not in ("application/json", "text/json") and not media.endswith("+json"):
            return None
        return json_object(self.body)


def json_object(text: bytes) -> dict[str, object] | None:
    """The JSON object (RFC 8259) that is the whole of `text`, or None."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def answered_object(reply: Reply | Fault) -> dict[str, object] | None:
    """The JSON object that a 200 answer is, or None for every other end of a call."""
    return reply.json_object() if isinstance(reply, Reply) and reply.status == 200 else None


def read_retry_after(value: str | None, date: str | None) -> int | None:
    """Seconds to wait (RFC 9110 §10.2.3), an hour at most.

    A date is read against the answer's own `Date`, so that our clock has no say.
    """
    if value is None:
        return None
    plain = value.strip()
    if plain.isascii() and plain.isdecimal():
        return min(int(plain[:10]), MAX_RETRY_AFTER)
    until, now = read_date(plain), read_date(date)
    if until is None or now is None:
        return None
    return max(0, min(int(until - now), MAX_RETRY_AFTER))


def read_date(value: str | None) -> float | None:
    """Seconds since the epoch of a date (RFC 9110 §5.6.7), or None for what is none."""
    try:
        return parsedate_to_datetime(value or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


_NO_STREAM: Final = httpx.ByteStream(b"")


class Oversized(Exception):
    """The answer is larger than any that we would read."""


class Encoded(Exception):
    """The answer is compressed, though identity was asked for: its size could not be bounded."""


class ProviderHttp:
    """Calls to one authorization server: bounded in time, size and number, never redirected."""

    def __init__(self, config: Provider) -> None:
        self._total_timeout = config.total_timeout
        self._login_bound = login_bound(config)
        self._logins = 0
        limits = httpx.Limits(
            max_connections=config.connections, max_keepalive_connections=config.connections
        )
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                verify=provider_tls(config), http2=False, trust_env=False, limits=limits, retries=0
            ),
            trust_env=False,
            follow_redirects=False,
            # The total bounds reading, writing and the wait for a connection.
            timeout=httpx.Timeout(None, connect=config.connect_timeout),
            # A jar would carry what was set for one person into another's request.
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            headers={
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "bff",
            },
        )

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        kind: str,
        share: Share = Share.OTHER,
    ) -> Reply | Fault:
        """The answer to a GET; `kind` names the endpoint in the log.

        Raises Refused(OVERLOADED) if logins hold all of their share."""
        request = self._client.build_request("GET", url, headers=dict(headers or {}))
        return await self._call(request, kind, share, None)

    async def post_form(
        self,
        url: str,
        form: Form,
        *,
        headers: Mapping[str, str],
        kind: str,
        share: Share = Share.OTHER,
        until: float | None = None,
        leaves_by: float | None = None,
    ) -> Reply | Fault:
        """The answer to a form POST, not later than `until` in the event loop's time.

        `leaves_by`: in place of that, when it must have left, and then it has all its time. What
        may be spent once is lost if we hang up on a provider that was merely slow.

        Raises Refused(OVERLOADED) if logins hold all of their share."""
        request = self._client.build_request(
            "POST",
            url,
            content=urlencode(form, doseq=True).encode(),
            headers={**headers, "content-type": "application/x-www-form-urlencoded"},
        )
        return await self._call(request, kind, share, until, leaves_by)

    def deadline(self) -> float:
        """When a call that begins now must be over, in the event loop's time."""
        return asyncio.get_running_loop().time() + self._total_timeout

    def is_over(self, until: float) -> bool:
        """Whether that deadline has passed."""
        return asyncio.get_running_loop().time() >= until

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _call(
        self,
        request: httpx.Request,
        kind: str,
        share: Share,
        until: float | None,
        leaves_by: float | None = None,
    ) -> Reply | Fault:
        if share is Share.OTHER:
            return await self._send(request, kind, until, leaves_by)
        if self._logins >= self._login_bound:
            raise Refused(Reason.OVERLOADED)
        self._logins += 1
        try:
            return await self._send(request, kind, until, leaves_by)
        finally:
            self._logins -= 1

    async def _send(
        self, request: httpx.Request, kind: str, until: float | None, leaves_by: float | None
    ) -> Reply | Fault:
        fault = Fault.NOT_SENT
        limit = asyncio.timeout_at(leaves_by or until or self.deadline())

        # httpcore says when the first byte is about to leave. That proves more than any list of
        # its exceptions: a write that failed, or a kept connection that the server closed at the
        # same moment, comes out as a failed read, and the total timeout strikes anywhere.
        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            nonlocal fault
            if not event.endswith(".send_request_headers.started"):
                return
            if leaves_by is not None:
                if self.is_over(leaves_by):
                    raise TimeoutError  # the timer has not had its turn yet
                limit.reschedule(self.deadline())
            fault = Fault.UNSURE

        request.extensions["trace"] = trace
        span = asked(kind)
        if span is not None:
            request.headers["traceparent"] = span.traceparent()
        status: int | None = None
        began_at = perf_counter()
        try:
            async with limit:
                reply = await self._read(request)
            status = reply.status
        except (httpx.HTTPError, TimeoutError, Oversized, Encoded) as error:
            tell(Event.PROVIDER_FAILED, endpoint=kind, error=_type(error), code=fault.value)
            count(PROVIDER_CALLS, kind, fault.value)
            return fault
        finally:
            timed(PROVIDER_SECONDS, kind).observe(perf_counter() - began_at)
            if span is not None:
                span.end(status)
        count(PROVIDER_CALLS, kind, call_outcome(reply.status))
        return reply

    async def _read(self, request: httpx.Request) -> Reply:
        response = await self._client.send(request, stream=True)
        try:
            return await self._whole(response)
        finally:
            # It leads back to its response, in which tokens may be: no collector shall be needed.
            response.stream = _NO_STREAM

    async def _whole(self, response: httpx.Response) -> Reply:
        async with aclosing(response):
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise Encoded
            body = bytearray()
            # Typed as an iterator; it is a generator, and one left half-read would be closed late.
            raw = cast("AsyncGenerator[bytes, None]", response.aiter_raw())
            async with aclosing(raw) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise Oversized
        return Reply(
            status=response.status_code,
            content_type=response.headers.get("content-type", "").partition(";")[0].strip().lower(),
            body=bytes(body),
            retry_after=read_retry_after(
                response.headers.get("retry-after"), response.headers.get("date")
            ),
            date=read_date(response.headers.get("date")),
            dpop_nonce=read_nonce(response.headers.get("dpop-nonce")),
        )


def login_bound(config: Provider) -> int:
    """How many calls of logins may be under way: three quarters, and one stays for refreshes."""
    return max(1, min(config.connections * 3 // 4, config.connections - 1))


def provider_tls(config: Provider) -> ssl.SSLContext:
    """The system's roots and those of `ca_file`. There is no switch that trusts anyone (P-03).

    With our certificate, if there is one, for whoever asks to see it (RFC 8705 §2)."""
    return client_tls(config.ca_file, config.client_certificate, config.client_key)


def _type(error: BaseException) -> str:
    """The types from an exception to its first cause: ConnectError says less than what is below.

    Never a message: httpx quotes URLs, and ssl what the peer sent."""
    first = error
    while (below := first.__cause__ or first.__context__) is not None:
        first = below
    outer, inner = type(error).__name__, type(first).__name__
    return outer if first is error else f"{outer}: {inner}"
