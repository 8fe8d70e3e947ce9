"""`bff explain`: what would become of a request, told by the functions that will decide it.

A request as our own page sends it is made up and walks through door, route table and exchange.
Nothing is sent, and no secret is shown: the token is a stand-in, what a route sets has no value.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from msgspec import structs

from bff.app import methods_at
from bff.caller.cookies import Cookies
from bff.caller.peer import Proxies
from bff.caller.request import BrowserRequest, Section, join_fields, read_request, section_of
from bff.config.access import Required
from bff.config.faults import one_line
from bff.config.hosts import hosts
from bff.config.load import Config, FrontEnd
from bff.config.provider_section import Provider
from bff.config.route_section import Route
from bff.door.head import judge, read_section
from bff.problem import PROBLEMS, Headers, Refused
from bff.provider.authorization import CALLBACK_PATH, redirect_uri
from bff.relay.exchange import admit, request_head
from bff.relay.route import route_table
from bff.relay.way import Relayed, relayed

TOKEN: Final = b"<access token>"
PROOF: Final = b"<proof>"
_SET: Final = "(as the route says)"
_FETCH: Final = ((b"sec-fetch-mode", b"cors"), (b"sec-fetch-dest", b"empty"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known of a request before it is sent. Empty: it does not get that far."""

    method: str
    target: str
    frontend: str = ""
    origin: str = ""
    answered_by: str = "nobody"
    route: str = ""
    policy: str = ""
    token: str = ""
    rule: dict[str, str] = field(default_factory=dict)
    upstream_url: str = ""
    who_may_ask: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    added: dict[str, str] = field(default_factory=dict)
    rewritten: dict[str, str] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)
    status: int = 0
    reason: str = ""


def explain(config: Config, method: str, target: str) -> Explanation:
    """What would become of a request, to the front end of a URL's host or else to the first."""
    known = hosts(config.frontends)
    name = known.get(urlsplit(target).netloc.lower().encode())
    frontend = next((each for each in config.frontends if each.name == name), config.frontends[0])
    method = method.upper()
    so_far = Explanation(
        method=method, target=target, frontend=frontend.name, origin=frontend.origin
    )
    headers = _of_our_page(config, frontend, method)
    raw = target.encode("utf-8", "surrogateescape")
    try:
        section = read_section(method, "1.1", headers, asked=False, remember=False)
        head = judge(section, raw, known)
        if head.answered_here:
            return replace(so_far, answered_by="the door")
        request = _request(section, head.target)
        route = route_table(frontend.routes).match(request.path)
    except Refused as refused:
        return _refused(so_far, refused)
    if route is None:
        uris = (redirect_uri(frontend.origin, each) for each in frontend.providers)
        callbacks = frozenset(each.removeprefix(frontend.origin) for each in uris)
        return _endpoint(so_far, request, callbacks)
    so_far = replace(so_far, route=route.path)
    if route.static is not None:
        return replace(
            so_far,
            answered_by=f"files in {route.static}",
            policy="everybody may GET and HEAD; index.html for navigations to no file",
        )
    so_far = replace(so_far, token=_token(route, frontend))
    return _relayed(so_far, relayed(route, frontend), request, dpop=_giver(route, frontend).dpop)


def _endpoint(
    so_far: Explanation, request: BrowserRequest, callbacks: frozenset[str]
) -> Explanation:
    methods = methods_at(request.path)
    path = request.path.decode("latin-1")
    of_nobody = path.startswith(CALLBACK_PATH) and path not in callbacks
    if methods is None or of_nobody:
        return replace(so_far, status=404, reason="no_route")
    found = replace(
        so_far,
        answered_by=f"endpoint {request.path.decode()}",
        policy=f"{', '.join(methods)}; each by its own rules",
    )
    allowed = request.method in methods
    return found if allowed else replace(found, status=405, reason="method_not_allowed")


def _relayed(
    so_far: Explanation, way: Relayed, request: BrowserRequest, *, dpop: bool
) -> Explanation:
    route = way.route
    found = replace(
        so_far,
        answered_by=f"upstream {way.upstream_origin}",
        policy=_ANONYMOUS if route.anonymous else _POLICIES[route.auth],
        rule=_rule(route),
        who_may_ask={who: _verdict(way, each) for who, each in _askers(way, request)},
        limits=_limits(route),
    )
    try:
        admit(way, request)
    except Refused as refused:
        return _refused(found, refused)
    token = None if route.auth == "none" else TOKEN
    head = request_head(way, request, bearer=token, proof=PROOF if dpop else None)
    return _with_headers(found, way, request, head)


_POLICIES: Final = {
    "user": "user: only with a session, whose access token goes along",
    "optional": "optional: with the access token where there is a session",
    "client": "client: only with a session, and never with its token but with one of our own",
    "none": "none: no session needed, never a token",
}


_ANONYMOUS: Final = "client: no session needed, with a token of our own for everybody"


def _giver(route: Route, frontend: FrontEnd) -> Provider:
    """The provider whose token goes along; of several that a person may choose, the default."""
    return frontend.providers[route.provider] if route.provider else frontend.provider


def _token(route: Route, frontend: FrontEnd) -> str:
    """Whose token the route gets, and what it is asked for."""
    if route.auth == "none":
        return "none"
    if route.auth != "client" and not route.own_token:
        return "the access token of the session"
    asked = {"resource": route.resource, "audience": route.audience, "scope": route.scopes}
    wanted = (
        f"{name} {value if isinstance(value, str) else ' '.join(value)}"
        for name, value in asked.items()
        if value
    )
    return ", ".join((_whose(route, frontend), *wanted))


def _whose(route: Route, frontend: FrontEnd) -> str:
    if route.auth == "client":
        return "our own, of " + _giver(route, frontend).issuer
    ways = dict.fromkeys(_WAYS[each.route_tokens] for each in frontend.providers.values())
    return f"the person's, for this route alone, {' or '.join(ways)}"


_WAYS: Final = {"refresh": "through the refresh token", "exchange": "by token exchange"}


def _rule(route: Route) -> dict[str, str]:
    """What the session must have, as the file says it."""
    rule = {name: _wanted(wanted) for name, wanted in route.require.items()}
    of_session = bool(route.scopes) and route.auth != "client" and not route.own_token
    return {**({"scopes": " ".join(route.scopes)} if of_session else {}), **rule}


def _wanted(wanted: Required) -> str:
    return str(wanted).lower() if isinstance(wanted, bool) else " or ".join(wanted)


def _with_headers(
    so_far: Explanation, way: Relayed, request: BrowserRequest, head: bytes
) -> Explanation:
    """What the head of the upstream request makes of the browser's fields."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    sent = {name.decode(): value.decode("latin-1") for name, value in request.headers}
    made = dict(line.split(": ", 1) for line in lines)
    shown = {
        name: _SET if name.encode() in way.fixed_names else value for name, value in made.items()
    }
    return replace(
        so_far,
        upstream_url=way.upstream_origin + first.split(" ")[1],
        dropped=sorted(sent.keys() - made.keys()),
        passed=[name for name in made if sent.get(name) == made[name]],
        added={name: value for name, value in shown.items() if name not in sent},
        rewritten={
            name: value
            for name, value in shown.items()
            if name in sent and sent[name] != made[name]
        },
    )


def _limits(route: Route) -> dict[str, str]:
    """What is bounded on this route, per worker (ASVS 13.1.2)."""
    return {
        "connections": f"{route.connections}, and as many requests waiting for one",
        "connect": f"{route.connect_timeout:g}s, also for a free connection",
        "answer": f"{route.answer_timeout:g}s to its head, {route.idle_timeout:g}s between octets",
        "body": f"{route.max_body} octets",
        "retries": "one, for GET, HEAD and OPTIONS on a kept connection that had closed",
    }


def _askers(way: Relayed, request: BrowserRequest) -> Iterator[tuple[str, BrowserRequest]]:
    """The same request, asked by others."""
    yield "our own page", request
    others: tuple[tuple[str, Headers], ...] = (
        (
            "a person, by a link or the address bar",
            [
                (b"sec-fetch-site", b"none"),
                (b"sec-fetch-mode", b"navigate"),
                (b"sec-fetch-dest", b"document"),
            ],
        ),
        (
            "another site's page",
            [(b"sec-fetch-site", b"cross-site"), (b"origin", b"https://other.example"), *_FETCH],
        ),
        ("a program that is no browser", []),
    )
    neutral = [
        (name, value)
        for name, value in request.headers
        if not name.startswith(b"sec-fetch-") and name not in (b"origin", b"referer", b"x-csrf")
    ]
    for who, fields in others:
        headers = [*neutral, *fields]
        joined, _ = join_fields(headers)
        yield who, _request(section_of(request.method, headers, joined), request.target)


def _verdict(way: Relayed, request: BrowserRequest) -> str:
    try:
        admit(way, request)
    except Refused as refused:
        return f"{PROBLEMS[refused.reason].status} {refused.reason}"
    return "let through"


def _refused(so_far: Explanation, refused: Refused) -> Explanation:
    return replace(so_far, status=PROBLEMS[refused.reason].status, reason=refused.reason.value)


def _of_our_page(config: Config, frontend: FrontEnd, method: str) -> Headers:
    """The fields that a browser sends for `fetch` on our own page."""
    origin = frontend.origin.encode()
    cookie = Cookies(frontend=frontend, keyring=config.keyring).name().encode()
    allowed = {name for route in frontend.routes for name in route.request_cookies}
    pairs = [
        cookie + b"=<session>",
        b"other=1",
        *(b"%s=1" % name.encode() for name in sorted(allowed)),
    ]
    fields = [
        (b"host", origin.partition(b"://")[2]),
        (b"connection", b"keep-alive"),
        (b"user-agent", b"Mozilla/5.0"),
        (b"accept", b"application/json"),
        (b"accept-language", b"en"),
        (b"accept-encoding", b"gzip, br"),
        (b"referer", origin + b"/"),
        (b"cookie", b"; ".join(pairs)),
        (b"sec-fetch-site", b"same-origin"),
        *_FETCH,
        (b"x-csrf", b"1"),
    ]
    if method not in ("GET", "HEAD"):
        fields += [(b"origin", origin)]
    if method in ("POST", "PUT", "PATCH"):
        fields += [(b"content-type", b"application/json"), (b"content-length", b"2")]
    return fields


def _request(section: Section, target: bytes) -> BrowserRequest:
    # An address for documentation (RFC 5737).
    request = read_request(section, target, hop="192.0.2.1", trusted=Proxies())
    return structs.replace(request, request_id="<request id>")


def as_json(explanation: Explanation) -> str:
    """The explanation for a machine."""
    return json.dumps(
        {name: getattr(explanation, name) for name in explanation.__slots__}, indent=2
    )


def as_text(explanation: Explanation) -> str:
    """The explanation for a person: one screen."""
    lines = [
        f"{explanation.method} {explanation.target}",
        _pair("front end", f"{explanation.frontend} ({explanation.origin})"),
        _pair("answered by", explanation.answered_by),
    ]
    for label, value in (
        ("route", explanation.route),
        ("policy", explanation.policy),
        ("token", explanation.token),
        ("upstream", explanation.upstream_url),
        ("refused", f"{explanation.status} {explanation.reason}" if explanation.reason else ""),
    ):
        if value:
            lines.append(_pair(label, value))
    lines += _block("rule", explanation.rule)
    lines += _block("who may ask", explanation.who_may_ask)
    lines += _block("added", explanation.added)
    lines += _block("rewritten", explanation.rewritten)
    if explanation.passed:
        lines += [_pair("passed on", ", ".join(explanation.passed))]
        lines += [_pair("dropped", ", ".join(explanation.dropped))]
    lines += _block("limits", explanation.limits)
    return "\n".join(one_line(line) for line in lines)


def _pair(label: str, value: str) -> str:
    return f"  {label:<12} {value}"


def _block(label: str, values: dict[str, str]) -> list[str]:
    return [
        _pair(label if not place else "", f"{name}: {value}")
        for place, (name, value) in enumerate(values.items())
    ]
