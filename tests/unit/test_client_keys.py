"""The keys by which the provider knows us: which may sign, what of them is shown."""

import base64
import hashlib
import json
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from bff.cli import main
from bff.config.client_keys import public_jwks, signing_keys
from bff.config.load import Config, ConfigFaults, parse
from bff.config.risks import risks
from bff.provider.client import client_assertion, shown_credentials
from tests.parts.client_keys import ALGS, ClientKeyFile, PrivateKey, jwt_lines, write_key
from tests.parts.config import config_text
from tests.wire.test_serve_tls import write_pair

WHERE = {"issuer": "https://login.example.com", "api": "https://api.internal"}


def config(provider: str, *, secret: str = "") -> Config:
    return parse(
        config_text(**WHERE, store="redis://127.0.0.1/0", secret=secret, provider=provider)
    )


def faults(provider: str, *, secret: str = "") -> list[str]:
    with pytest.raises(ConfigFaults) as found:
        config(provider, secret=secret)
    return [f"{each.key} {each.message}" for each in found.value.faults]


@pytest.mark.rule("P-07")
@pytest.mark.rule("F-05")
@pytest.mark.parametrize("alg", ALGS)
def test_an_assertion_names_us_twice_the_issuer_once_and_lives_a_minute(
    tmp_path: Path, alg: str
) -> None:
    file = write_key(tmp_path, alg)
    (key,) = signing_keys(config(jwt_lines(file)).frontends[0].provider.client_keys)
    made = [
        client_assertion(key, client_id="spa", audience=WHERE["issuer"], now=1000.9)
        for _ in range(2)
    ]
    said = [jwt.decode(each, options={"verify_signature": False}) for each in made]
    assert len(said[0].pop("jti")) >= 22
    assert said[0] == {
        "iss": "spa",
        "sub": "spa",
        "aud": "https://login.example.com",
        "iat": 1000,
        "exp": 1060,
    }
    assert made[0] != made[1]
    assert jwt.get_unverified_header(made[0]) == {
        "typ": "client-authentication+jwt",
        "alg": alg,
        "kid": alg,
    }
    verified = jwt.PyJWS().decode_complete(made[0], jwt.PyJWK(file.jwk).key, algorithms=[alg])
    assert verified["header"]["alg"] == alg


def test_what_is_published_is_the_public_half_of_every_key(tmp_path: Path) -> None:
    files = [write_key(tmp_path, alg) for alg in ALGS]
    text = config_text(**WHERE, store="redis://127.0.0.1/0", secret="", provider=jwt_lines(*files))
    (tmp_path / "bff.toml").write_text(text)
    result = CliRunner().invoke(
        main, ["keys", "jwks", "--config", str(tmp_path / "bff.toml")], catch_exceptions=False
    )
    assert json.loads(result.stdout) == {"keys": [each.jwk for each in files]}
    listed = parse(text).frontends[0].provider.client_keys
    assert public_jwks(listed) == json.loads(result.stdout)
    private = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
    assert all(private.isdisjoint(jwk) for jwk in json.loads(result.stdout)["keys"])


def test_without_keys_there_is_nothing_to_print(tmp_path: Path) -> None:
    file = tmp_path / "bff.toml"
    file.write_text(config_text(**WHERE, store="redis://127.0.0.1/0"))
    result = CliRunner().invoke(main, ["keys", "jwks", "--config", str(file)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no provider.client_keys" in result.stderr


@pytest.mark.rule("P-11")
@pytest.mark.rule("F-22")
@pytest.mark.parametrize(
    ("private", "wrong"),
    [
        pytest.param(
            rsa.generate_private_key(public_exponent=65537, key_size=1024),
            "is shorter than 2048 bits",
            id="a short RSA key",
        ),
        pytest.param(
            ec.generate_private_key(ec.SECP384R1()), "is a key of another kind", id="P-384"
        ),
        pytest.param(
            ec.generate_private_key(ec.SECP256K1()), "is a key of another kind", id="secp256k1"
        ),
    ],
)
def test_a_key_that_may_not_sign_is_a_fault(
    tmp_path: Path, private: PrivateKey, wrong: str
) -> None:
    file = write_key(tmp_path, "?", "k1", private=private)
    assert faults(jwt_lines(file)) == [f"provider.client_keys.0.private_key {wrong}"]


def test_what_is_no_key_is_a_fault_that_says_nothing_of_it(tmp_path: Path) -> None:
    locked = write_key(tmp_path, "ES256", "k1", passphrase=b"a passphrase")
    junk = write_key(tmp_path, "ES256", "k2")
    junk.file.write_text("-----BEGIN PRIVATE KEY-----\nnever shown\n-----END PRIVATE KEY-----\n")
    found = faults(jwt_lines(locked, junk))
    assert [each.partition(" ")[2] for each in found] == [
        "is no private key in PEM without a passphrase"
    ] * 2
    assert "never shown" not in str(found)


@pytest.mark.parametrize(
    ("provider", "secret", "wrong"),
    [
        pytest.param(
            'client_authentication = "private_key_jwt"',
            "",
            "provider.client_keys is missing",
            id="no keys",
        ),
        pytest.param(
            'client_authentication = "tls_client_auth"',
            "",
            "provider.client_certificate is missing",
            id="no certificate",
        ),
        pytest.param(
            'client_authentication = "self_signed_tls_client_auth"\nclient_key = "/x"',
            "",
            "provider.client_certificate is missing: half of a TLS pair",
            id="half a pair",
        ),
        pytest.param(
            "client_keys = [{ private_key = { file = '/nowhere' } }]",
            "BFF_TEST_SECRET",
            "provider.client_keys.0.kid is missing",
            id="no kid",
        ),
        pytest.param(
            "client_keys = [{ kid = 'a b', private_key = { env = 'BFF_TEST_SECRET' } }]",
            "BFF_TEST_SECRET",
            "provider.client_keys.0.kid holds what it may not",
            id="a kid of two words",
        ),
        pytest.param(
            "client_keys = [{ kid = 'a', private_key = { env = 'BFF_TEST_KEY' }, alg = 'RS256' }]",
            "BFF_TEST_SECRET",
            "provider.client_keys.0.alg is an unknown key",
            id="an algorithm of one's own choice",
        ),
        pytest.param(
            "client_keys = [{ kid = 'a', private_key = 'MIIE' }]",
            "BFF_TEST_SECRET",
            "provider.client_keys.0.private_key is a secret written into the file",
            id="a key in the file",
        ),
    ],
)
def test_what_the_method_needs_must_be_there(provider: str, secret: str, wrong: str) -> None:
    assert wrong in faults(provider, secret=secret)


def test_a_secret_that_nobody_would_send_is_a_fault(tmp_path: Path) -> None:
    found = faults(jwt_lines(write_key(tmp_path, "ES256")), secret="BFF_TEST_SECRET")
    assert [each.partition(" means")[0] for each in found] == ["provider.client_secret"]


def test_two_keys_of_one_id_are_a_fault(tmp_path: Path) -> None:
    key = write_key(tmp_path, "ES256")
    assert faults(jwt_lines(key, key)) == [
        "provider.client_keys.1.kid is the id of another key too"
    ]


@pytest.mark.rule("T-05")
def test_a_key_is_in_no_repr(tmp_path: Path) -> None:
    file = write_key(tmp_path, "EdDSA")
    found = config(jwt_lines(file))
    inside = file.file.read_text().splitlines()[1]
    shown = repr(found) + repr(signing_keys(found.frontends[0].provider.client_keys))
    assert inside not in shown
    assert "Ed25519PrivateKey" not in shown


@pytest.mark.rule("P-07")
def test_another_audience_is_a_risk_that_can_be_accepted(tmp_path: Path) -> None:
    write_pair(tmp_path)
    lines = jwt_lines(write_key(tmp_path, "ES256"))
    wide = f'{lines}\nclient_assertion_audience = "token_endpoint"'
    assert "assertion_audience" not in [each.code for each in risks(config(lines))]
    assert "assertion_audience" in [each.code for each in risks(config(wide))]
    text = config_text(**WHERE, store="redis://127.0.0.1/0", secret="", provider=wide)
    accepted = f'{text}\n[operate]\naccepted_risks = ["assertion_audience"]\n'
    assert "assertion_audience" not in [each.code for each in risks(parse(accepted))]


@pytest.mark.rule("R-07")
def test_other_credentials_are_known_as_others(tmp_path: Path) -> None:
    """Or the success of a former key would speak for a new one that is not registered yet."""
    one, two = write_key(tmp_path, "ES256"), write_key(tmp_path, "EdDSA")
    certificate, key = write_pair(tmp_path)
    pair = (
        'client_authentication = "self_signed_tls_client_auth"\n'
        f'client_certificate = "{certificate}"\nclient_key = "{key}"'
    )
    wide = f'{jwt_lines(one, two)}\nclient_assertion_audience = "token_endpoint"'

    def shown(lines: str, secret: str = "") -> str:
        return shown_credentials(config(lines, secret=secret).frontends[0].provider)

    by_pair = shown(pair)
    write_pair(tmp_path)  # renewed under the same name
    found = [
        shown(jwt_lines(one)),
        shown(jwt_lines(two)),
        shown(wide),
        by_pair,
        shown(pair),
        shown("", "BFF_TEST_SECRET"),
        shown("", "BFF_TEST_WRONG_SECRET"),
    ]
    assert len(set(found)) == len(found)
    assert shown(jwt_lines(one, two)) == found[0]  # which does not sign yet


def test_two_providers_of_one_application_have_no_key_id_in_common(tmp_path: Path) -> None:
    """GET /bff/jwks shows the keys of both."""
    one = write_key(tmp_path, "ES256", "1")
    (tmp_path / "two").mkdir()
    two = write_key(tmp_path / "two", "EdDSA", "1")

    def text(*keys: ClientKeyFile) -> str:
        whole = config_text(**WHERE, store="redis://127.0.0.1/0", secret="")
        tables = [
            f'[providers.p{place}]\nissuer = "https://p{place}.example.com"\n'
            f'client_id = "spa"\n{jwt_lines(key)}\n'
            for place, key in enumerate(keys)
        ]
        before, _, after = whole.partition("[provider]")
        return before + "\n".join(tables) + after[after.index("[session]") :]

    assert len(parse(text(one, one)).frontends[0].providers) == 2
    with pytest.raises(ConfigFaults) as found:
        parse(text(one, two))
    assert [each.key for each in found.value.faults] == ["providers.p1.client_keys.0.kid"]


def test_a_key_with_its_certificate_is_named_by_it_too(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    line = f'{{ kid = "k1", private_key = {{ file = "{key}" }}, certificate = "{certificate}" }}'
    lines = f'client_authentication = "private_key_jwt"\nclient_keys = [{line}]'
    (signing,) = signing_keys(config(lines).frontends[0].provider.client_keys)
    made = client_assertion(signing, client_id="spa", audience="x", now=1000, typ="JWT")
    der = load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert jwt.get_unverified_header(made) == {
        "typ": "JWT",
        "alg": "ES256",
        "kid": "k1",
        "x5t#S256": thumbprint,
    }


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        pytest.param(None, "is the certificate of another key than k1", id="of another key"),
        pytest.param("junk", "is no certificate in PEM", id="no certificate"),
        pytest.param("", "cannot be read", id="not there"),
    ],
)
def test_a_certificate_that_is_not_the_keys_is_a_fault(
    tmp_path: Path, text: str | None, wrong: str
) -> None:
    certificate, _ = write_pair(tmp_path)
    if text is not None:
        certificate.unlink()
        if text:
            certificate.write_text(text)
    file = write_key(tmp_path, "ES256", "k1")
    line = file.line.replace(" }", f' }}, certificate = "{certificate}" ', 1)
    lines = f'client_authentication = "private_key_jwt"\nclient_keys = [{line}]'
    assert faults(lines) == [f"provider.client_keys.0.certificate {wrong}"]
