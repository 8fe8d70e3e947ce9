"""The simulator refuses every assertion that is not to the letter: so those it takes are."""

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bff.simulator import Client, Plan, Simulator, running
from tests.parts.client_keys import ALGS, ClientKeyFile, write_key
from tests.unit.simulator_client import CALLBACK, Party

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ClientKeyFile]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: write_key(folder, name) for name in ALGS}


@pytest.fixture(scope="module")
def simulator(keys: dict[str, ClientKeyFile]) -> Iterator[Simulator]:
    registered = Client(
        client_id="spa",
        redirect_uris=(CALLBACK,),
        jwks=tuple(each.jwk for each in keys.values()),
        token_endpoint_auth_methods=("private_key_jwt",),
    )
    with running(Plan(clients=(registered,))) as started:
        yield started


@pytest.fixture
def party(simulator: Simulator) -> Iterator[Party]:
    with Party(simulator) as fresh:
        yield fresh


def claims(party: Party, **changes: object) -> dict[str, Any]:
    now = int(time.time())  # noqa: TID251 - a client's own clock
    right = {
        "iss": "spa",
        "sub": "spa",
        "aud": party.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": f"a-long-enough-one-{time.monotonic_ns()}",
    }
    return {name: value for name, value in (right | changes).items() if value is not None}


def outcome(party: Party, assertion: str, kind: str = TYPE) -> str:
    """What the token endpoint makes of it; a token that nobody knows is asked for."""
    form = {
        "client_id": "spa",
        "client_assertion_type": kind,
        "client_assertion": assertion,
        "grant_type": "refresh_token",
        "refresh_token": "never-issued",
    }
    party.http.post(f"{party.issuer}/token", data=form)
    last = party.last("token")
    assert last["authenticated"] == (last["outcome"] == "refresh_token_unknown")
    return str(last["outcome"])


def signed(
    key: ClientKeyFile, said: dict[str, Any], alg: str | None = None, **header: str | None
) -> str:
    shown = {"typ": "client-authentication+jwt", "kid": key.kid} | header
    kept = {name: value for name, value in shown.items() if value is not None}
    return jwt.encode(said, key.private, algorithm=alg or key.alg, headers=kept)


@pytest.mark.parametrize("alg", ALGS)
def test_a_right_one_is_taken_once(party: Party, keys: dict[str, ClientKeyFile], alg: str) -> None:
    assertion = signed(keys[alg], claims(party))
    assert outcome(party, assertion) == "refresh_token_unknown"
    assert outcome(party, assertion) == "assertion_replayed"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"aud": "https://evil.example"}, "assertion_aud", id="for another"),
        pytest.param({"aud": None}, "assertion_aud", id="for nobody"),
        pytest.param({"iss": "other"}, "assertion_iss_sub", id="another's"),
        pytest.param({"sub": "other"}, "assertion_iss_sub", id="about another"),
        pytest.param({"exp": None}, "assertion_times", id="without an end"),
        pytest.param({"exp": 1}, "assertion_times", id="over"),
        pytest.param({"iat": None}, "assertion_times", id="of no time"),
        pytest.param({"jti": None}, "assertion_jti", id="without a name"),
        pytest.param({"jti": "1"}, "assertion_jti", id="a name one could guess"),
    ],
)
def test_claims_are_refused_that_are(
    party: Party, keys: dict[str, ClientKeyFile], changes: dict[str, object], why: str
) -> None:
    assert outcome(party, signed(keys["ES256"], claims(party, **changes))) == why


def test_neither_a_list_nor_the_endpoint_is_the_issuer(
    party: Party, keys: dict[str, ClientKeyFile]
) -> None:
    for aud in ([party.issuer], [party.issuer, "https://evil.example"], f"{party.issuer}/token"):
        assert outcome(party, signed(keys["ES256"], claims(party, aud=aud))) == "assertion_aud"


def test_one_that_lives_too_long_or_begins_too_late_is_refused(
    party: Party, keys: dict[str, ClientKeyFile]
) -> None:
    right = claims(party)
    for changes in ({"exp": right["exp"] + 1}, {"iat": right["iat"] + 30, "exp": right["exp"]}):
        said = claims(party, **changes)
        assert outcome(party, signed(keys["ES256"], said)) == "assertion_times"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        pytest.param({"typ": "JWT"}, "assertion_typ", id="any JWT"),
        pytest.param({"typ": None}, "assertion_typ", id="no typ"),
        pytest.param({"typ": "at+jwt"}, "assertion_typ", id="an access token"),
        pytest.param({"kid": "nobody's"}, "assertion_key", id="an unknown kid"),
        pytest.param({"kid": "PS256"}, "assertion_key", id="another key's kid"),
        pytest.param({"kid": None}, "assertion_key", id="no kid"),
    ],
)
def test_headers_are_refused_that_name(
    party: Party, keys: dict[str, ClientKeyFile], header: dict[str, str | None], why: str
) -> None:
    assert outcome(party, signed(keys["ES256"], claims(party), **header)) == why


def test_algorithms_that_prove_nothing_or_less_are_refused(
    party: Party, keys: dict[str, ClientKeyFile]
) -> None:
    said = claims(party)
    header = {"typ": "client-authentication+jwt", "kid": "PS256"}
    public = keys["PS256"].private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = [
        jwt.encode(said, "", algorithm="none", headers=header),
        jwt.encode(said, pem.hex(), algorithm="HS256", headers=header),
        signed(keys["PS256"], said, alg="RS256"),
    ]
    assert [outcome(party, each) for each in forged] == ["assertion_alg"] * 3


def test_a_signature_of_another_key_is_refused(
    party: Party, keys: dict[str, ClientKeyFile]
) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header = {"typ": "client-authentication+jwt", "kid": "PS256"}
    forged = jwt.encode(claims(party), stranger, algorithm="PS256", headers=header)
    assert outcome(party, forged) == "assertion_signature"
    assert outcome(party, "no.jwt") == "assertion_malformed"
    right = signed(keys["ES256"], claims(party))
    assert outcome(party, right, kind="jwt-bearer") == "assertion_type"
