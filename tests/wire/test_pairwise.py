"""Client authentication, pushed requests and DPoP: each two ways of them met, the whole way."""

from collections.abc import Iterator

import jwt
import pytest

from bff.config.load import parse
from tests.parts.browser import browsing
from tests.parts.config import config_text
from tests.parts.control import Control
from tests.parts.methods import METHODS, Methods, client_id, methods
from tests.parts.site import serving

PUSHES = ("absent", "required")
PROOFS = ("no DPoP", "DPoP", "DPoP with nonces")
# All of (method, proofs); each method meets both ways to push, and so does each kind of proof.
ROWS = [
    (method, PUSHES[(one + two) % 2], proofs)
    for one, method in enumerate(METHODS)
    for two, proofs in enumerate(PROOFS)
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Methods]:
    with methods(tmp_path_factory.mktemp("pairs")) as found:
        yield found


@pytest.fixture
def control(world: Methods) -> Iterator[Control]:
    with world.control() as control:
        yield control


def test_every_pair_is_there() -> None:
    pairs = {(one, two) for row in ROWS for one in row for two in row if one != two}
    groups = (METHODS, PUSHES, PROOFS)
    wanted = {
        (one, two)
        for group in groups
        for other in groups
        if group is not other
        for one in group
        for two in other
    }
    assert pairs == wanted


@pytest.mark.rule("P-06")
@pytest.mark.rule("P-07")
@pytest.mark.rule("P-08")
@pytest.mark.rule("P-09")
@pytest.mark.rule("P-10")
@pytest.mark.rule("L-14")
@pytest.mark.parametrize(("method", "par", "proofs"), ROWS)
def test_sign_in_refresh_call_and_sign_out(
    world: Methods, control: Control, method: str, par: str, proofs: str
) -> None:
    habit = "demanded" if proofs == PROOFS[2] else "never"
    bound = proofs != PROOFS[0]
    control.switch(
        par=par, dpop_nonces=habit, api_dpop_nonces=habit, access_token_seconds=2,
        profile_in_id_token=False,
    )  # fmt: skip
    lines = f"userinfo = true\ndpop = {str(bound).lower()}"
    wanted = parse(config_text(**world.parts(method, lines)), dev=True)
    with serving(wanted) as site, browsing(site) as browser:
        browser.sign_in()
        claims = browser.fetch("GET", "/bff/session").json()["claims"]
        assert claims["name"] == "Ada Lovelace"  # which UserInfo alone has told
        control.switch(access_token_seconds=300)
        while not any(each["outcome"] == "ok" for each in control.entries("token:refresh_token")):
            browser.fetch("GET", "/api/tasks")
        answer = browser.fetch("POST", "/api/tasks", json={"title": "x"})
        assert answer.status_code == 201
        assert "dpop-nonce" not in answer.headers
        browser.fetch("POST", "/bff/logout")
    control.entries("revoke", 1)
    for endpoint in ("token", "revoke", *(["par"] if par == "required" else [])):
        entries = control.entries(endpoint)
        assert {each["client_id"] for each in entries} == {client_id(method)}
        assert all(each["authenticated"] for each in entries)
        assert {each["outcome"] for each in entries} <= {"ok", "dpop_nonce"}
    # A nonce is asked for once: from then on the newest is at hand.
    asked = [
        each["outcome"] for name in ("par", "token", "userinfo") for each in control.entries(name)
    ]
    assert asked.count("dpop_nonce") == (1 if habit == "demanded" else 0)
    for token in control.ask("secrets")["access_tokens"][-2:]:
        assert ("cnf" in jwt.decode(token, options={"verify_signature": False})) == bound
