"""Request smuggling: every known trick, in front of four upstreams that say what they heard.

Strict and lax readers of our own, nginx, and Node with every leniency it has. A trick is refused
and nothing after it is read, or it goes on as the one request that it is. What another person asks
next, on the same upstream connection, gets its own answer.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final

import pytest

from tests.parts.config import config
from tests.parts.foreign import nginx, node
from tests.parts.hearing import Heard, Hearing, answer_to, ear, lax, strict
from tests.parts.raw import Raw, raw
from tests.parts.site import Site, serving
from tests.parts.strict import Request
from tests.parts.tricks import TRICKS
from tests.parts.tricks.trick import Trick, request

UPSTREAMS: Final[dict[str, Callable[[], AbstractContextManager[Hearing]]]] = {
    "a strict reader": lambda: ear("strict", strict),
    "a lax reader": lambda: ear("lax", lax),
    "nginx": nginx,
    "Node, lax": node,
}
OWN: Final = request(method=b"GET", target=b"/api/own")
NEXT: Final = request(method=b"GET", target=b"/api/next")
HOP: Final = {
    b"connection", b"te", b"trailer", b"upgrade", b"keep-alive", b"proxy-connection", b"expect",
    b"http2-settings", b"cookie", b"authorization", b"x-http-method-override", b"x-original-url",
    b"x-rewrite-url", b"x-csrf",
}  # fmt: skip


@pytest.fixture(scope="module", params=list(UPSTREAMS))
def upstream(request: pytest.FixtureRequest) -> Iterator[Hearing]:
    with UPSTREAMS[request.param]() as found:
        yield found


@pytest.fixture(scope="module")
def site(upstream: Hearing) -> Iterator[Site]:
    route = 'auth = "none"\nconnections = 1'
    with serving(config(issuer="http://127.0.0.1:1", api=upstream.url, route=route)) as found:
        yield found


def answers(wire: Raw, trick: Trick) -> None:
    """The trick is answered as its row says, and its connection is closed or good for more."""
    wire.send(trick.octets)
    method = "HEAD" if trick.octets.startswith(b"HEAD ") else "GET"
    found = [wire.answer(method) for _ in trick.statuses]
    assert tuple(each.status for each in found) == trick.statuses
    if not found:
        return
    closes = found[-1].get("connection") == "close"
    assert closes or not trick.refused
    if closes:
        assert wire.closed
    else:
        wire.send(OWN)
        assert wire.answer().body == answer_to("GET", "/own")


def is_clean(received: Request, authority: bytes) -> bool:
    """Whether nothing of the trick is left in the head that went on (Q-08, Q-09, Q-13)."""
    names = {name for name, _ in received.fields}
    return (
        received.all(b"host") == [authority]
        and not names & HOP
        and not any(b"_" in name for name in names)
        and received.trailers == []
    )


@pytest.mark.rule("Q-01", "Q-08", "Q-09", "Q-10", "Q-11", "Q-12", "Q-13", "Q-22")
@pytest.mark.parametrize("trick", [pytest.param(each, id=each.sentence) for each in TRICKS])
def test_a_trick_is_refused_or_it_is_one_request_in_one_reading(
    site: Site, upstream: Hearing, trick: Trick
) -> None:
    with raw(site.port) as wire:
        answers(wire, trick)
    with raw(site.port) as another:
        another.send(NEXT)
        assert another.answer().body == answer_to("GET", "/next")
    heard = [each for each in upstream.heard("/next")[:-1] if each.target != "/own"]
    if not trick.statuses:  # the sender went away: what was cut short is not a request
        heard = [each for each in heard if each.method]
    assert tuple((each.method, each.target, each.body) for each in heard) == trick.heard
    authority = upstream.url.removeprefix("http://").encode()
    for each in heard:
        assert each.request is None or is_clean(each.request, authority)


@pytest.mark.rule("Q-10")
def test_what_is_relayed_goes_on_over_one_upstream_connection() -> None:
    """Else the battery would prove little: an answer can only be another's on a kept connection."""
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(ear("strict", strict))
        route = 'auth = "none"\nconnections = 1'
        text = config(issuer="http://127.0.0.1:1", api=upstream.url, route=route)
        site = stack.enter_context(serving(text))
        heard: list[Heard] = []
        for trick in TRICKS:
            if trick.statuses == (200,):
                with raw(site.port) as wire:
                    wire.send(trick.octets)
                    assert wire.answer().status == 200
        with raw(site.port) as another:
            another.send(NEXT)
            assert another.answer().status == 200
        heard = upstream.heard("/next")
        assert len(heard) > 50
        assert {each.connection for each in heard} == {1}
