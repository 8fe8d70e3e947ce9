"""What a route asks of a session, decided: scopes, also made of claims, and claims compared."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.config.access import SCOPE_VALUE, claims_named, scope_with
from bff.config.load import ConfigFaults
from bff.config.provider_section import Provider
from bff.config.route_section import Route
from bff.problem import Reason, Refused
from bff.session.access import access_rule, claims_asked, require_access, scopes_for
from bff.session.record import Identity, Session, Tokens
from tests.parts.config import config


def session(held: Mapping[str, object] | None = None, *, scope: str = "openid") -> Session:
    identity = Identity(
        iss="https://login.example.com",
        sub="ada",
        sid=None,
        aud=("spa",),
        azp=None,
        nonce=None,
        auth_time=None,
        acr=None,
        claims={},
        held=held or {},
    )
    tokens = Tokens(
        access_token="an access token",
        refresh_token=None,
        id_token="",
        scope=scope,
        issued_at=0,
        expires_at=None,
        refresh_expires_at=None,
    )
    return Session(frontend="default", identity=identity, tokens=tokens, created_at=0)


def route(path: str = "/api", /, **rule: object) -> Route:
    return Route.model_validate({"path": path, "upstream": "http://127.0.0.1:1", **rule})


def verdict(a_session: Session, **rule: object) -> Reason | None:
    asked = access_rule(route("/api", **rule), ())
    assert asked is not None
    try:
        require_access(asked, a_session)
    except Refused as refused:
        return refused.reason
    return None


NO, MORE = Reason.FORBIDDEN, Reason.INSUFFICIENT_SCOPE


@pytest.mark.parametrize(
    ("wanted", "said", "meets"),
    [
        pytest.param("admin", "admin", True, id="a text that is equal"),
        pytest.param("admin", "Admin", False, id="another case is another text"),
        pytest.param("admin", "admin ", False, id="nothing is trimmed"),
        pytest.param("admin", ["staff", "admin"], True, id="one of a list"),
        pytest.param(["admin", "owner"], ["staff", "owner"], True, id="any of several"),
        pytest.param(["admin", "owner"], "owner", True, id="a text that is any of several"),
        pytest.param("admin", ["administrators"], False, id="a part of a text is none"),
        pytest.param("admin", "staff admin", False, id="a text is not taken apart"),
        pytest.param("admin", [["admin"]], False, id="no list within a list"),
        pytest.param("admin", {"admin": True}, False, id="a table is no list"),
        pytest.param("1", 1, False, id="a number is no text"),
        pytest.param("true", True, False, id="true is no text"),
        pytest.param(True, True, True, id="true"),
        pytest.param(False, False, True, id="false"),
        pytest.param(True, False, False, id="false is not true"),
        pytest.param(True, 1, False, id="1 is not true"),
        pytest.param(False, 0, False, id="0 is not false"),
        pytest.param(True, "true", False, id="a text is not true"),
        pytest.param(True, [True], False, id="a list is not true"),
        pytest.param(False, None, False, id="null is not false"),
        pytest.param("admin", [], False, id="an empty list"),
    ],
)
def test_a_claim_is_compared_by_type_and_value(wanted: object, said: object, meets: bool) -> None:
    found = verdict(session({"groups": said}), require={"groups": wanted})
    assert found is (None if meets else NO)


@pytest.mark.parametrize("wanted", ["admin", ["admin"], True, False])
def test_a_claim_that_is_missing_refuses(wanted: object) -> None:
    assert verdict(session(), require={"groups": wanted}) is NO


def test_every_requirement_must_be_met() -> None:
    rule = {"groups": "admin", "email_verified": True}
    assert verdict(session({"groups": "admin", "email_verified": True}), require=rule) is None
    assert verdict(session({"groups": "admin"}), require=rule) is NO
    assert verdict(session({"email_verified": True}), require=rule) is NO


@pytest.mark.parametrize(
    ("scopes", "granted", "found"),
    [
        pytest.param(["a"], "openid a", None, id="granted"),
        pytest.param(["a", "b"], "b a", None, id="both granted, in another order"),
        pytest.param(["a", "b"], "a", MORE, id="one of two"),
        pytest.param(["a"], "", MORE, id="none at all"),
        pytest.param(["a"], "A", MORE, id="another case"),
        pytest.param(["a"], "ab", MORE, id="the beginning of one"),
        pytest.param(["org:{org_id}"], "org:acme", None, id="made of a claim"),
        pytest.param(["org:{org_id}"], "org:{org_id}", MORE, id="the braces themselves"),
        pytest.param(["org:{org_id}"], "org:", MORE, id="without the claim"),
        pytest.param(["{org_id}:{role}"], "acme:boss", None, id="made of two"),
        pytest.param(["org:{missing}"], "org: org:None", NO, id="a claim that is missing"),
    ],
)
def test_scopes_are_those_that_were_granted(
    scopes: list[str], granted: str, found: Reason | None
) -> None:
    held = {"org_id": "acme", "role": "boss"}
    assert verdict(session(held, scope=granted), scopes=scopes) is found


ODD = [
    pytest.param("a b", id="a space would make two scopes of one"),
    pytest.param('a"b', id="a quote"),
    pytest.param("a\\b", id="a backslash"),
    pytest.param("a\nb", id="a line end"),
    pytest.param("a\tb", id="a tab"),
    pytest.param("ä", id="a letter beyond ASCII"),
    pytest.param("", id="nothing"),
    pytest.param("a" * 257, id="too long"),
    pytest.param(7, id="a number"),
    pytest.param(True, id="true"),
    pytest.param(None, id="null"),
    pytest.param(["acme"], id="a list"),
]


@pytest.mark.parametrize("value", ODD)
def test_what_no_scope_can_hold_makes_none(value: object) -> None:
    held = {"org_id": value}
    assert scope_with("org:{org_id}", held) is None
    assert verdict(session(held, scope=f"openid org:{value} org: b"), scopes=["org:{org_id}"]) is NO


def test_a_value_is_not_looked_through_for_claims_again() -> None:
    held = {"org_id": "{role}", "role": "boss"}
    assert scope_with("org:{org_id}", held) == "org:{role}"


@given(value=st.text())
def test_whatever_a_claim_says_a_scope_stays_one(value: str) -> None:
    made = scope_with("org:{org_id}", {"org_id": value})
    if made is not None:
        assert made == f"org:{value}"
        assert made.split() == [made]
        assert not set(made) & set(' "\\')
    else:
        assert SCOPE_VALUE.fullmatch(value) is None


def test_the_refusal_names_the_scopes_and_the_login_that_asks_for_them() -> None:
    rule = access_rule(route("/api/a~b", scopes=["a", "org:{org_id}"]), ())
    assert rule is not None
    with pytest.raises(Refused) as refused:
        require_access(rule, session({"org_id": "acme"}, scope="a"))
    assert refused.value.scope == "a org:acme"
    assert refused.value.login_query == "route=/api/a~b"


@pytest.mark.parametrize(
    ("acr_values", "query"),
    [
        pytest.param(None, "acr_values=2%203", id="whatever"),
        pytest.param(("1", "3"), "acr_values=3", id="one of two"),
        pytest.param(("1",), "", id="nothing that would do"),
    ],
)
def test_a_login_is_named_only_for_what_it_may_ask(
    acr_values: tuple[str, ...] | None, query: str
) -> None:
    provider = Provider.model_validate(
        {"issuer": "https://login.example.com", "client_id": "spa", "acr_values": acr_values}
    )
    rule = access_rule(route("/api", require={"acr": ["2", "3"]}), (provider,))
    assert rule is not None
    with pytest.raises(Refused) as refused:
        require_access(rule, session({"acr": "1"}))
    assert (refused.value.reason, refused.value.login_query) == (NO, query)


@pytest.mark.rule("A-05")
@pytest.mark.parametrize("said", [{"acr": "1"}, {"acr": "2"}])
def test_one_login_asks_for_all_that_a_route_wants(said: dict[str, object]) -> None:
    """Else each of two logins would take away what the other has brought, for ever."""
    rule = access_rule(route("/api", require={"acr": "2"}, scopes=["a"]), ())
    assert rule is not None
    with pytest.raises(Refused) as refused:
        require_access(rule, session(said))
    assert refused.value.login_query == "acr_values=2&route=/api"


ROUTES = (
    route("/", require={"groups": "admin"}),
    route("/api/a", scopes=["a", "org:{org_id}"]),
    route("/api/b", scopes=["b"]),
)


@pytest.mark.rule("L-13")
@pytest.mark.parametrize(
    ("path", "former", "asked"),
    [
        pytest.param("/api/b", None, ("b",), id="nobody signed in"),
        pytest.param("/api/a", None, ("a",), id="a claim that nobody knows yet"),
        pytest.param(
            "/api/a", session({"org_id": "acme"}), ("a", "org:acme"), id="with the session's claim"
        ),
        pytest.param(
            "/api/b",
            session({"org_id": "acme"}, scope="a org:acme other"),
            ("a", "org:acme", "b"),
            id="and what other routes were granted, nothing else of the session",
        ),
        pytest.param(None, None, (), id="of none, and nobody signed in"),
        pytest.param(
            None,
            session({"org_id": "acme"}, scope="a org:acme other"),
            ("a", "org:acme"),
            id="of none: what was granted stays",
        ),
    ],
)
def test_a_login_asks_for_the_scopes_of_routes_only(
    path: str | None, former: Session | None, asked: tuple[str, ...]
) -> None:
    assert scopes_for(ROUTES, path, former) == asked


@pytest.mark.rule("L-13")
@pytest.mark.parametrize("path", ["", "/", "/api", "/api/b/", "b", "/API/B", "/api/b b"])
def test_a_path_that_asks_for_no_scopes_is_no_way_to_a_login(path: str) -> None:
    with pytest.raises(Refused) as refused:
        scopes_for(ROUTES, path, None)
    assert refused.value.reason is Reason.BAD_REQUEST


def test_only_routes_with_a_rule_have_one() -> None:
    assert access_rule(route(), ()) is None
    assert claims_asked(ROUTES) == {"groups", "org_id"}
    assert claims_asked((route(),)) == frozenset()


FAULTS = [
    pytest.param('scopes = ["a b"]', "routes.0.scopes", id="a space in a scope"),
    pytest.param('scopes = ["a{}"]', "routes.0.scopes", id="no claim in the braces"),
    pytest.param('scopes = ["a{b"]', "routes.0.scopes", id="a brace that is not closed"),
    pytest.param('scopes = ["a}b{"]', "routes.0.scopes", id="braces the wrong way round"),
    pytest.param('scopes = [""]', "routes.0.scopes", id="an empty scope"),
    pytest.param("require = { groups = [] }", "routes.0.require", id="what nobody could meet"),
    pytest.param("require = { level = 3 }", "routes.0.require", id="a number"),
    pytest.param('require = { acr = "" }', "routes.0.require", id="an empty text"),
    pytest.param('require = { acr = ["1", 2] }', "routes.0.require", id="a number in a list"),
    pytest.param('require = ["admin"]', "routes.0.require", id="a list"),
    pytest.param('require = "groups == admin"', "routes.0.require", id="an expression"),
    pytest.param('auth = "none"\nscopes = ["a"]', "routes.0.scopes", id="without a session"),
    pytest.param(
        'auth = "optional"\nrequire = { acr = "2" }', "routes.0.require", id="perhaps without one"
    ),
]


@pytest.mark.rule("D-10")
@pytest.mark.parametrize(("rule", "key"), FAULTS)
def test_a_rule_that_cannot_be_meant_is_a_fault(rule: str, key: str) -> None:
    with pytest.raises(ConfigFaults) as found:
        config(issuer="http://127.0.0.1:1", api="http://127.0.0.1:2", route=rule)
    assert [fault.key for fault in found.value.faults] == [key]


SAID = {
    "sub": "ada",
    "https://example.com/roles": ["admin"],
    "realm_access": {"roles": ["admin"], "a/b": {"~": "c"}},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("sub", "ada", id="a name"),
        pytest.param("https://example.com/roles", ["admin"], id="a name with slashes"),
        pytest.param("/realm_access/roles", ["admin"], id="a way into a claim"),
        pytest.param("/realm_access/a~1b/~0", "c", id="a way with marks (RFC 6901 §3)"),
        pytest.param("/realm_access/nowhere", None, id="a way that ends before its goal"),
        pytest.param("/realm_access/roles/0", None, id="into a list leads no way"),
        pytest.param("/sub/x", None, id="nor into a text"),
    ],
)
def test_a_claim_is_found_by_its_name_or_by_the_way_to_it(name: str, value: object) -> None:
    assert claims_named(SAID, [name]) == {name: value}


@pytest.mark.parametrize("name", ["roles", "/roles", "/nowhere/roles", "realm_access/roles", "/"])
def test_of_a_claim_that_is_not_there_nothing_is_said(name: str) -> None:
    """So that an ID token at a refresh which leaves it out takes nothing away."""
    assert claims_named(SAID, [name]) == {}


def test_a_way_that_no_pointer_can_go_is_a_fault() -> None:
    with pytest.raises(ConfigFaults, match="RFC 6901"):
        config(
            issuer="https://login.example.com",
            api="http://127.0.0.1:1",
            route='require = { "/a~b" = true }',
        )
