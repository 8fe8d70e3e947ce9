"""Spans of what is done for a request (OpenTelemetry). None is made unless a tracer is in use.

A span names a route or an endpoint as the configuration does, a method and a status: no path, no
query, no session and no person. From hop to hop it goes as W3C Trace Context says.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, Protocol

Fields = Mapping[bytes, bytes]


class Span(Protocol):
    """One that has begun."""

    def traceparent(self) -> str:
        """How it is named to whoever is asked on its behalf (Trace Context §3.2)."""
        ...

    def end(self, status: int | None) -> None:
        """It is over, with that status of HTTP; None: without an answer."""
        ...


class Tracer(Protocol):
    """Who makes spans."""

    def served(self, method: str, name: str, fields: Fields) -> Span:
        """A request that somebody makes of us; `fields` may say for what."""
        ...

    def asked(self, name: str, cause: Span | None) -> Span:
        """A request that we make of somebody."""
        ...


_in_use: Tracer | None = None
_current: Final[ContextVar[Span | None]] = ContextVar("span", default=None)


def use(tracer: Tracer | None) -> None:
    """Make spans from here on, or none any more."""
    global _in_use
    _in_use = tracer


def served(method: str, name: str, fields: Fields) -> Span | None:
    """A request's span, which is the cause of what this task and those it starts ask for."""
    if _in_use is None:
        return None
    span = _in_use.served(method, name, fields)
    _current.set(span)
    return span


def asked(name: str) -> Span | None:
    """The span of a request that is made here, for whatever this task is about."""
    return None if _in_use is None else _in_use.asked(name, _current.get())


class Traced:
    """One relayed exchange: its own span, and that of what the upstream is asked."""

    __slots__ = ("_asked", "_name", "_served", "_status", "_tracer")

    def __init__(self, tracer: Tracer, method: str, name: str, fields: Fields) -> None:
        self._tracer = tracer
        self._name = name
        self._served = tracer.served(method, name, fields)
        self._asked: Span | None = None
        self._status: int | None = None  # what the upstream answers

    def enter(self) -> None:
        """What this task and those it starts ask for is asked on its behalf."""
        _current.set(self._served)

    def asks(self) -> bytes:
        """The upstream is about to be asked: the field line that says on whose behalf."""
        self._end_asked(None)
        self._asked = self._tracer.asked(self._name, self._served)
        return b"traceparent: %s\r\n" % self._asked.traceparent().encode()

    def answered(self, status: int) -> None:
        """The upstream has begun to answer."""
        self._status = status
        self._end_asked(status)

    def end(self, status: int | None) -> None:
        """The browser has its answer: that one, or the upstream's if there was any."""
        self._end_asked(None)
        self._served.end(self._status if status is None else status)

    def _end_asked(self, status: int | None) -> None:
        if self._asked is not None:
            self._asked.end(status)
            self._asked = None


def traced(method: str, name: str, fields: Fields) -> Traced | None:
    """A relayed exchange, if anybody wants to know of it."""
    return None if _in_use is None else Traced(_in_use, method, name, fields)
