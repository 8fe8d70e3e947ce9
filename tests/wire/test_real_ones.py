"""What providers in the field do, one after the other: the whole way is the same with all of them.

Sign in, call the API, renew the tokens under twenty calls at once, call again, sign out there and
come back. The rows are those of the list of things seen; how each looks close by has tests of its
own. What real providers do wrong, and must be refused, is not here.
"""

import base64
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from bff.simulator import Client, Person, Plan, running
from tests.conftest import SECURE
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.client_keys import jwt_lines, write_key
from tests.parts.config import SECRET, config
from tests.parts.control import Control, client
from tests.parts.site import Site, serving
from tests.wire.test_logout_providers import to_provider
from tests.wire.test_serve_tls import write_pair
from tests.wire.test_silent_login import next_page
from tests.wire.test_upstream_refusal import grow_old

REFRESH = "token:refresh_token"


@dataclass(frozen=True, kw_only=True)
class Habit:
    """What one provider does differently."""

    switches: Mapping[str, object] = field(default_factory=dict)
    faults: Sequence[Mapping[str, object]] = ()
    issuer_path: str = ""
    lines: str = ""  # of [provider]: where one named line settles it
    life: float | None = 305  # seconds until the tokens are renewed, which live 300; None: for whom
    # our clock must be right the first ones live for a second, and it passes
    alg: str = "RS256"  # of ID tokens
    at_once: int = 20


def departs(name: str, endpoint: str = "id_token") -> Habit:
    return Habit(faults=[{"endpoint": endpoint, "count": None, "departure": name}])


def switched(lines: str = "", /, **switches: object) -> Habit:
    return Habit(switches=switches, lines=lines)


UNANNOUNCED = {"authorization_response_iss_parameter_supported": False}
HABITS = {
    # the refresh token's life
    "life: years": switched(refresh_token_seconds=10**8),
    "life: an hour, told": switched(refresh_token_seconds=3600, refresh_expires_in=True),
    "life: the access token's own": Habit(
        switches={"refresh_token_seconds": 300, "refresh_expires_in": True}, life=280
    ),
    "life: never rotated, neither token nor scope told again": switched(
        rotate=False, send_refresh_token_again=False, omit_scope=True
    ),
    "life: never rotated, told again": switched(rotate=False),
    # two refreshes at once with one token
    "at once: both answered": switched(rotation_grace_seconds=60),
    "at once: the second refused": switched(reuse_revokes=False),
    "at once: the whole grant revoked": switched(),
    # the old access token after a refresh
    "old access token: dead at once": switched(access_token_dies_at_refresh=True),
    # the refresh answer
    "refresh answer: no ID token": switched(id_token_at_refresh=False),
    "refresh answer: an ID token with a nonce": switched(nonce_at_refresh=True),
    "refresh answer: no life told": Habit(
        switches={"omit_expires_in": True}, lines='assume_expires_in = "5m"'
    ),
    # the callback
    "callback: iss, though not announced": switched(discovery=UNANNOUNCED),
    "callback: others beside it": departs("more_parameters", "callback"),
    # the issuer
    "issuer: ends in a slash": Habit(issuer_path="/"),
    "issuer: has a path": Habit(issuer_path="/o/r"),
    "issuer: has a path and ends in a slash": Habit(issuer_path="/o/r/"),
    # endpoints
    "endpoints: revocation works, and is not announced": switched(
        'revocation_endpoint = "ISSUER/revoke"', discovery={"revocation_endpoint": None}
    ),
    "endpoints: end-session works, and is not announced": switched(
        'end_session_endpoint = "ISSUER/end-session"', discovery={"end_session_endpoint": None}
    ),
    # metadata that is no reason to refuse
    "metadata: lists none": switched(
        discovery={"id_token_signing_alg_values_supported": ["none", "RS256"]}
    ),
    "metadata: does not speak of PKCE": switched(
        discovery={"code_challenge_methods_supported": None}
    ),
    # token_type
    "token_type: bearer": switched(token_type="bearer"),
    "token_type: BEARER": switched(token_type="BEARER"),
    # the ID token
    "ID token: RS512": Habit(alg="RS512", lines='algorithms = ["RS512"]'),
    "ID token: ES256": Habit(alg="ES256", lines='algorithms = ["ES256"]'),
    "ID token: aud is a list of one": departs("aud_list"),
    "ID token: auth_time is a float": departs("auth_time_float"),
    "ID token: auth_time is 0": departs("auth_time_zero"),
    "ID token: no auth_time": departs("auth_time_absent"),
    "ID token: no kid": departs("no_kid"),
    "ID token: no sid": departs("sid_absent"),
    "ID token: no at_hash": departs("at_hash_absent"),
    "ID token: who it is, only in UserInfo": switched("userinfo = true", profile_in_id_token=False),
    "UserInfo: signed": switched(
        "userinfo = true\nuserinfo_signed = true", profile_in_id_token=False, userinfo_signed=True
    ),
    # end-session
    "end-session: returns only with client_id": switched(end_session_returns="with_client_id"),
    "end-session: returns only with state": switched(end_session_returns="with_state"),
    "end-session: a page of its own": switched(end_session_asks=True),
    "end-session: another name for the way back": switched(
        'logout_return_parameter = "logout_uri"', end_session_parameter="logout_uri"
    ),
    "end-session: refresh tokens die": switched(end_session_revokes=True),
    # the scope granted
    "scope: less than asked": switched(drop_scopes=["phone", "email"]),
    # DPoP nonces
    **{
        f"DPoP: nonces {habit}": Habit(
            switches={"dpop_nonces": habit, "api_dpop_nonces": habit},
            lines="dpop = true",
            life=None,
            at_once=1,  # a nonce that each answer replaces is for one call after the other
        )
        for habit in ("never", "on_success", "demanded")
    },
    # pushed requests
    "PAR: required": switched(par="required"),
}


@dataclass(frozen=True)
class Place:
    control: Control
    site: Site

    def let_tokens_end(self, habit: Habit) -> None:
        if habit.life is None:
            time.sleep(1)
        else:
            grow_old(self.site, habit.life)


def calls(place: Place, page: Browser, at_once: int) -> list[int]:
    """So many at once."""

    def call(_: int) -> int:
        with browsing(place.site) as tab:
            tab.cookies = dict(page.cookies)
            return tab.fetch("GET", "/api/token").status_code

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(call, range(at_once)))


def whole_way(place: Place, habit: Habit) -> None:
    with browsing(place.site) as page, Person("ada") as ada:
        assert page.callback(ada.visit(page.to_provider())).status_code == 200
        assert page.fetch("GET", "/bff/session").json()["claims"]["name"] == "Ada Lovelace"
        if habit.life is not None:  # one that lives for a second may be over when the API sees it
            assert page.fetch("GET", "/api/token").status_code == 200
        place.control.switch(access_token_seconds=300)
        place.let_tokens_end(habit)
        assert calls(place, page, habit.at_once) == [200] * habit.at_once
        assert page.fetch("GET", "/api/token").status_code == 200
        assert place.control.count(REFRESH) == 1
        back = ada.visit(to_provider(page))
        assert back.partition("?")[0] == f"{SECURE}/"
        assert place.control.entries("revoke", 1)[0]["outcome"] == "ok"
        assert reason(page.fetch("GET", "/api/token")) in ("no_session", "session_ended")
        assert "login_required" in ada.visit(page.to_provider(prompt="none"))


@contextlib.contextmanager
def place_of(habit: Habit, keys: Sequence[Mapping[str, object]] = ()) -> Iterator[Place]:
    """That provider and a site of its client, which has a secret or these public keys."""
    application = Client(
        client_id="spa",
        client_secret="" if keys else SECRET,
        redirect_uris=(f"{SECURE}/bff/callback",),
        post_logout_redirect_uris=(f"{SECURE}/",),
        id_token_signed_response_alg=habit.alg,
        token_endpoint_auth_methods=("private_key_jwt",) if keys else ("client_secret_basic",),
        jwks=tuple(keys),
    )
    plan = Plan(clients=(application,), issuer_path=habit.issuer_path)
    with running(plan) as simulator, client() as http:
        control = Control(simulator, http)
        control.switch(access_token_seconds=1 if habit.life is None else 300, **habit.switches)
        for fault in habit.faults:
            control.do("faults", fault)
        text = config(
            issuer=simulator.issuer,
            api=simulator.api,
            provider="connections = 1000\n" + habit.lines.replace("ISSUER", simulator.issuer),
            secret="" if keys else "BFF_TEST_SECRET",
        )
        with serving(text) as site:
            yield Place(control, site)


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS.keys())
def test_the_whole_way_is_the_same_with_all_of_them(habit: Habit) -> None:
    with place_of(habit) as place:
        whole_way(place, habit)


@pytest.mark.rule("P-07")
@pytest.mark.parametrize(
    ("switches", "lines"),
    [
        pytest.param({"assertion_audience": "issuer"}, "", id="for the issuer alone"),
        pytest.param(
            {"assertion_audience": "token_endpoint"},
            'client_assertion_audience = "token_endpoint"',
            id="for the token endpoint alone",
        ),
    ],
)
def test_an_assertion_is_for_whom_the_provider_takes_it(
    tmp_path: Path, switches: Mapping[str, object], lines: str
) -> None:
    key = write_key(tmp_path, "PS256")
    habit = Habit(switches=switches, lines=f"{jwt_lines(key)}\n{lines}", life=None)
    with place_of(habit, [key.jwk]) as place:
        whole_way(place, habit)


def test_a_key_is_known_by_its_certificate_where_the_provider_has_it_so(tmp_path: Path) -> None:
    certificate, key_file = write_pair(tmp_path)
    private = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    key = write_key(tmp_path, "ES256", private=private)
    digest = load_pem_x509_certificate(certificate.read_bytes()).fingerprint(SHA256())
    thumbprint = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    named = f'certificate = "{certificate}"'
    lines = jwt_lines(key).replace(" }]", f", {named} }}]")
    habit = Habit(
        switches={"assertion_by_certificate": True},
        lines=f'{lines}\nclient_assertion_type = "JWT"',
        life=None,
    )
    with place_of(habit, [{**key.jwk, "x5t#S256": thumbprint}]) as place:
        whole_way(place, habit)


# A dead refresh token, as they say it. The empty 400 may be about the client secret as well, and so
# counts as a proof only when our credentials have worked since (R-07, test_refresh_dead).


@pytest.mark.rule("R-06")
def test_a_refresh_token_that_is_dead_ends_the_session() -> None:
    with place_of(Habit()) as place, browsing(place.site) as page:
        page.sign_in()
        place.control.do("revoke", {"sub": "ada"})
        grow_old(place.site, 305)
        answer = page.fetch("GET", "/api/token")
        assert (answer.status_code, reason(answer)) == (401, "refresh_rejected")


@pytest.mark.rule("R-07")
@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"error": "invalid_request"}, id="invalid_request"),
        pytest.param({}, id="an empty 400"),
    ],
)
def test_a_400_without_a_reason_leaves_nobody_on_503_for_ever(said: dict[str, object]) -> None:
    with place_of(Habit()) as place, browsing(place.site) as page, browsing(place.site) as other:
        page.sign_in()
        other.sign_in("grace")
        place.control.fault(REFRESH, status=400, count=1, **said)
        grow_old(place.site, 305)
        answer = page.fetch("GET", "/api/token")
        assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
        grow_old(place.site, 10)
        assert other.fetch("GET", "/api/token").status_code == 200  # it is not our credentials
        place.control.fault(REFRESH, status=400, count=1, **said)
        answer = page.fetch("GET", "/api/token")
        assert (answer.status_code, reason(answer)) == (401, "refresh_rejected")


@pytest.mark.rule("C-10")
@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"status": 400, "error": "invalid_grant"}, id="400 invalid_grant"),
        pytest.param({"status": 403, "error": "invalid_code"}, id="403 invalid_code"),
    ],
)
def test_a_code_that_is_not_good_is_said_so_and_the_next_one_is(said: dict[str, object]) -> None:
    with place_of(Habit()) as place, browsing(place.site) as page:
        place.control.fault("token:authorization_code", count=1, **said)
        answer = page.callback(page.from_provider())
        assert (answer.status_code, reason(answer)) == (400, "code_rejected")
        page.sign_in()
        assert page.fetch("GET", "/api/token").status_code == 200


@pytest.mark.rule("C-03")
@pytest.mark.parametrize("error", ["access_denied", "consent_required"])
def test_a_denial_is_said_so_and_the_next_sign_in_is_good(error: str) -> None:
    with place_of(Habit()) as place, browsing(place.site) as page:
        place.control.fault("callback", count=1, error=error)
        answer = page.callback(page.from_provider())
        assert (answer.status_code, reason(answer)) == (400, "provider_error")
        page.sign_in()
        assert page.fetch("GET", "/api/token").status_code == 200


@pytest.mark.rule("C-07")
@pytest.mark.parametrize("error", ["login_required", "interaction_required", "consent_required"])
def test_whatever_a_silent_login_is_answered_the_person_comes_back(error: str) -> None:
    with place_of(Habit()) as place, browsing(place.site) as page, Person("ada") as ada:
        page.callback(ada.visit(page.to_provider()))
        place.control.fault("callback", count=1, error=error)
        assert next_page(page.callback(ada.visit(page.to_provider("/here", prompt="none"))))
        assert page.fetch("GET", "/bff/session").json()["authenticated"]  # as before
