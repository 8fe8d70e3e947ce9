"""Of which organisation a person comes, decided: what may be asked, and what an answer names."""

import pytest
from pydantic import ValidationError

from bff.config.load import ConfigFaults
from bff.config.organization import Organization
from bff.provider.organization import (
    can_ask,
    fits,
    is_another,
    organization_in,
    parameters_for,
    scopes_for,
)
from tests.parts.config import config

ONE = Organization(claim="org_id", parameter="organization", value="acme")
TWO = Organization(claim="org_id", parameter="organization", allowed=("acme", "umbra"))
ANY = Organization(claim="org_id", scope="organization:{organization}", pattern="org_[a-z]+")
SILENT = Organization(claim="tid", value="acme")


@pytest.mark.parametrize(
    ("asked_of", "name", "may"),
    [
        pytest.param(ONE, "acme", True, id="the one"),
        pytest.param(ONE, "umbra", False, id="not the one"),
        pytest.param(TWO, "umbra", True, id="one of two"),
        pytest.param(TWO, "Umbra", False, id="another case"),
        pytest.param(TWO, "", False, id="nothing"),
        pytest.param(ANY, "org_a", True, id="as the pattern has it"),
        pytest.param(ANY, "org_a\n", False, id="a line end behind it"),
        pytest.param(ANY, "x org_a", False, id="the pattern must match the whole"),
        pytest.param(SILENT, "acme", False, id="there is no way to say so"),
        pytest.param(None, "acme", False, id="the file asks for none"),
    ],
)
def test_a_login_may_ask_for_what_the_file_knows(
    asked_of: Organization | None, name: str, may: bool
) -> None:
    assert can_ask(asked_of, name) is may


def test_it_is_asked_for_as_the_provider_wants_it() -> None:
    assert parameters_for(TWO, "umbra") == {"organization": "umbra"}
    assert scopes_for(TWO, "umbra") == ()
    assert parameters_for(ANY, "org_a") == {}
    assert scopes_for(ANY, "org_a") == ("organization:org_a",)
    assert parameters_for(TWO, None) == {}
    assert parameters_for(None, "umbra") == {}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        pytest.param("acme", "acme", id="a text"),
        pytest.param(["acme"], "acme", id="a list of one"),
        pytest.param({"acme": {"id": "7"}}, "acme", id="a table of one"),
        pytest.param(["acme", "umbra"], None, id="two: nobody knows which"),
        pytest.param([], None, id="an empty list"),
        pytest.param("", None, id="an empty text"),
        pytest.param([["acme"]], None, id="a list in a list"),
        pytest.param(7, None, id="a number"),
        pytest.param(True, None, id="true"),
        pytest.param(None, None, id="null"),
    ],
)
def test_an_answer_names_one(said: object, found: str | None) -> None:
    assert organization_in(TWO, {"org_id": said}) == found
    assert fits(TWO, {"org_id": said}, asked=None) is (found is not None)


def test_the_one_that_was_asked_for_is_the_one_that_counts() -> None:
    assert fits(TWO, {"org_id": "acme"}, asked="acme")
    assert not fits(TWO, {"org_id": "acme"}, asked="umbra")
    assert not fits(TWO, {"org_id": "other"}, asked=None)
    assert not fits(TWO, {}, asked="acme")


@pytest.mark.parametrize(
    ("claims", "own", "another"),
    [
        pytest.param({"org_id": "acme"}, "acme", False, id="the same"),
        pytest.param({"org_id": "umbra"}, "acme", True, id="another, though it is known"),
        pytest.param({}, "acme", False, id="silence contradicts nothing"),
        pytest.param({"org_id": None}, "acme", True, id="null is not silence"),
        pytest.param({"org_id": "umbra"}, None, False, id="a session from before, and a known one"),
        pytest.param({"org_id": "other"}, None, True, id="a session from before, and a stranger"),
    ],
)
def test_a_refresh_may_not_name_another(
    claims: dict[str, object], own: str | None, another: bool
) -> None:
    assert is_another(TWO, claims, own) is another
    assert not is_another(None, claims, own)


@pytest.mark.rule("D-10")
@pytest.mark.parametrize(
    "table",
    [
        pytest.param('claim = "org_id"', id="none will do"),
        pytest.param('claim = "o", value = "a", allowed = ["a"]', id="one, and several"),
        pytest.param('claim = "o", value = "a b"', id="a space in the one"),
        pytest.param('claim = "o", allowed = ["a b"]', id="a space in one of several"),
        pytest.param('claim = "o", allowed = [""]', id="an empty name"),
        pytest.param('claim = "o", pattern = "("', id="no pattern"),
        pytest.param('value = "a"', id="no claim"),
        pytest.param('claim = "o", value = "a", parameter = "scope"', id="the flow's own"),
        pytest.param('claim = "o", value = "a", scope = "organization"', id="no place in it"),
        pytest.param('claim = "o", value = "a", scope = "o {organization}"', id="two scopes"),
        pytest.param('claim = "o", value = "a", clame = "o"', id="an unknown key"),
    ],
)
def test_what_cannot_be_meant_is_a_fault(table: str) -> None:
    with pytest.raises(ConfigFaults) as found:
        config(
            issuer="http://127.0.0.1:1",
            api="http://127.0.0.1:2",
            provider=f"organization = {{ {table} }}",
        )
    assert all(fault.key.startswith("provider.organization") for fault in found.value.faults)


def test_it_is_said_once_which_will_do() -> None:
    with pytest.raises(ValidationError):
        Organization(claim="org_id")
