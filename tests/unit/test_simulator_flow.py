"""The whole way through the simulator, and what ends a grant."""

from collections.abc import Iterator

import httpx
import pytest

from bff.simulator import Person, Simulator, running
from tests.unit.simulator_client import AFTER, CALLBACK, PLAN, Party, seen


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(PLAN) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


def test_sign_in_refresh_revoke_and_sign_out(party: Party) -> None:
    with Person("grace") as grace:
        back = party.callback(grace)
        assert (back["state"], back["iss"]) == ("the-state", party.issuer)
        tokens = party.redeem(back["code"]).json()
        renewed = party.refresh(tokens["refresh_token"]).json()
        assert party.userinfo(renewed["access_token"]).json()["name"] == "Grace Hopper"
        assert party.revoke(renewed["refresh_token"]).status_code == 200
        assert seen(party.refresh(renewed["refresh_token"])) == (400, "invalid_grant")
        hint = {"id_token_hint": renewed["id_token"], "post_logout_redirect_uri": AFTER}
        url = httpx.URL(f"{party.issuer}/end-session", params=hint | {"state": "bye"})
        assert grace.visit(str(url)) == f"{AFTER}?state=bye"
        assert party.callback(grace, prompt="none")["error"] == "login_required"


def test_the_token_answer_says_what_was_granted_and_may_not_be_kept(party: Party) -> None:
    answer = party.redeem(party.code(scope="openid email offline_access"))
    tokens = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 30)
    assert tokens["scope"] == "openid email offline_access"
    assert {"access_token", "refresh_token", "id_token"} <= tokens.keys()


def test_without_offline_access_there_is_no_refresh_token(party: Party) -> None:
    assert "refresh_token" not in party.sign_in(scope="openid")


def test_a_replayed_code_revokes_all_that_it_issued(party: Party) -> None:
    code = party.code()
    tokens = party.redeem(code).json()
    assert party.userinfo(tokens["access_token"]).status_code == 200
    assert seen(party.redeem(code)) == (400, "invalid_grant")
    assert party.userinfo(tokens["access_token"]).status_code == 401
    assert seen(party.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert party.last("token")["outcome"] == "grant_revoked"


def test_a_refresh_token_that_is_used_twice_kills_its_successor(party: Party) -> None:
    first = party.sign_in()["refresh_token"]
    second = party.refresh(first).json()
    assert seen(party.refresh(first)) == (400, "invalid_grant")
    assert party.last("token")["outcome"] == "refresh_token_reused"
    assert seen(party.refresh(second["refresh_token"])) == (400, "invalid_grant")
    assert party.userinfo(second["access_token"]).status_code == 401


def test_within_the_grace_a_spent_refresh_token_is_answered_again(party: Party) -> None:
    party.control("switches", {"rotation_grace_seconds": 60})
    first = party.sign_in()["refresh_token"]
    assert party.refresh(first).status_code == 200
    assert party.refresh(first).status_code == 200
    party.control("clock", {"advance": 61})
    assert seen(party.refresh(first)) == (400, "invalid_grant")


def test_a_code_lives_sixty_seconds(party: Party) -> None:
    code = party.code()
    party.control("clock", {"advance": 61})
    assert seen(party.redeem(code)) == (400, "invalid_grant")
    assert party.last("token")["outcome"] == "code_expired"


def test_an_access_token_and_a_refresh_token_end_in_time(party: Party) -> None:
    tokens = party.sign_in()
    party.control("clock", {"advance": 31})
    assert party.userinfo(tokens["access_token"]).status_code == 401
    party.control("clock", {"advance": 86_400})
    assert seen(party.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert party.last("token")["outcome"] == "refresh_token_expired"


def test_a_revoked_access_token_leaves_the_grant_alone(party: Party) -> None:
    tokens = party.sign_in()
    assert party.revoke(tokens["access_token"]).status_code == 200
    assert party.userinfo(tokens["access_token"]).status_code == 401
    assert party.refresh(tokens["refresh_token"]).status_code == 200


def test_an_unknown_token_is_revoked_without_complaint(party: Party) -> None:
    assert party.revoke("never-issued").status_code == 200
    assert party.last("revoke")["outcome"] == "unknown_token"


def test_nobody_revokes_the_token_of_another_client(party: Party) -> None:
    token = party.sign_in()["refresh_token"]
    form = {"token": token}
    basic = ("other", "other-secret")
    answer = party.http.post(f"{party.issuer}/revoke", data=form, auth=basic)
    assert seen(answer) == (400, "unauthorized_client")
    assert party.refresh(token).status_code == 200


def test_scope_may_be_narrowed_for_one_access_token_and_comes_back(party: Party) -> None:
    token = party.sign_in()["refresh_token"]
    narrowed = party.refresh(token, scope="openid").json()
    assert narrowed["scope"] == "openid"
    assert "email" not in party.userinfo(narrowed["access_token"]).json()
    assert "email" in party.refresh(narrowed["refresh_token"]).json()["scope"].split()


def test_the_redirect_uri_may_have_a_query(party: Party) -> None:
    with Person() as ada:
        location = ada.visit(party.url(redirect_uri=f"{CALLBACK}?tenant=1"))
    assert location.startswith(f"{CALLBACK}?tenant=1&code=")


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        pytest.param({"code_verifier": "a" * 43}, "code_verifier", id="another verifier"),
        pytest.param({"code_verifier": "short"}, "code_verifier", id="a verifier too short"),
        pytest.param({"code_verifier": None}, "parameter_missing", id="no verifier"),
        pytest.param({"redirect_uri": CALLBACK + "/"}, "code_redirect_uri", id="another URI"),
        pytest.param({"redirect_uri": None}, "parameter_missing", id="no redirect_uri"),
        pytest.param({"code": "never-issued"}, "code_unknown", id="an invented code"),
        pytest.param({"grant_type": "password"}, "grant_type_unsupported", id="another grant type"),
        pytest.param({"grant_type": None}, "parameter_missing", id="no grant type"),
    ],
)
def test_a_code_is_refused_with(party: Party, changes: dict[str, str | None], outcome: str) -> None:
    form = {"code": party.code()} | changes
    assert party.redeem(**form).status_code == 400
    assert party.last("token")["outcome"] == outcome


def test_a_code_is_burnt_by_a_wrong_verifier(party: Party) -> None:
    code = party.code()
    assert party.redeem(code, code_verifier="a" * 43).status_code == 400
    assert seen(party.redeem(code)) == (400, "invalid_grant")


@pytest.mark.parametrize("kind", ["code", "refresh_token"])
def test_what_was_issued_to_one_client_is_refused_to_another(party: Party, kind: str) -> None:
    code = party.code()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    form["code_verifier"] = party.code_verifier
    if kind == "refresh_token":
        token = party.redeem(code).json()["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token}
    auth = ("other", "other-secret")
    answer = party.http.post(f"{party.issuer}/token", data=form, auth=auth)
    assert seen(answer) == (400, "invalid_grant")
    assert party.last("token")["outcome"] == f"{kind}_of_another_client"
    assert party.token(**form).status_code == 200  # the rightful client is not harmed


def test_scope_is_never_widened_by_a_refresh(party: Party) -> None:
    token = party.sign_in(scope="openid offline_access")["refresh_token"]
    assert seen(party.refresh(token, scope="openid email")) == (400, "invalid_scope")
    assert party.refresh(token).status_code == 200  # and the token is not spent by the attempt
