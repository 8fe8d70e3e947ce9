"""`scopes` and `require` of a route: what a session must have been granted, and what it must say.

Values, never expressions: a scope may hold the value of a claim, a claim is compared and no more.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from bff.config.values import fault

# RFC 6749 §3.3 without the braces, which stand around the name of a claim.
_PLAIN: Final = r"[\x21\x23-\x5b\x5d-\x7a\x7c\x7e]"
_SCOPE: Final = re.compile(rf"(?:{_PLAIN}|\{{{_PLAIN}+\}})+")
_CLAIM: Final = re.compile(rf"\{{({_PLAIN}+)\}}")
SCOPE_VALUE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")


def claims_in_scope(template: str) -> tuple[str, ...]:
    """The claims whose values a scope of the file is made with."""
    return tuple(_CLAIM.findall(template))


_ABSENT: Final = object()


def claims_named(claims: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """The claims of those names, as far as they are there.

    A name with a slash in front leads into a claim that is an object (RFC 6901). Where that claim
    is there and the way ends before its goal, the value is None: it says that there is none.
    """
    found = ((name, _claim(claims, name)) for name in names)
    return {name: value for name, value in found if value is not _ABSENT}


def _claim(claims: Mapping[str, object], name: str) -> object:
    if not name.startswith("/"):
        return claims.get(name, _ABSENT)
    first, *rest = (part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/"))
    if first not in claims:
        return _ABSENT
    there = claims[first]
    for part in rest:
        there = there.get(part) if isinstance(there, Mapping) else None
    return there


def scope_with(template: str, claims: Mapping[str, object]) -> str | None:
    """The scope with the claims' values in their places.

    None where one is missing, is no text, or is what no scope can hold: a space would make two
    scopes of one.
    """
    made, end = [], 0
    for place in _CLAIM.finditer(template):
        value = claims.get(place[1])
        if not isinstance(value, str) or SCOPE_VALUE.fullmatch(value) is None:
            return None
        made += [template[end : place.start()], value]
        end = place.end()
    return "".join([*made, template[end:]])


def _scopes(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_SCOPE.fullmatch(scope) for scope in value):
        raise fault(
            "holds what is no scope",
            'write each by itself, a claim in braces, as ["orders:read", "org:{org_id}"]',
        )
    return value


Required = bool | tuple[str, ...]  # exactly that; or any of these


def _require(value: object) -> object:
    if not isinstance(value, dict):
        raise fault("is no table", 'write it in { }, as { groups = ["admin"] }')
    if any(name.startswith("/") and re.search(r"~(?![01])", name) for name in value):
        raise fault("names a way into a claim that is none (RFC 6901)", "write ~ as ~0, / as ~1")
    return {name: _required(wanted) for name, wanted in value.items()}


def _required(wanted: object) -> Required:
    if isinstance(wanted, bool):
        return wanted
    texts = wanted if isinstance(wanted, list | tuple) else [wanted]
    if not texts or not all(isinstance(each, str) and each for each in texts):
        raise fault(
            "asks of a claim what cannot be compared",
            "write a text, a list of texts of which one must be there, true or false",
        )
    return tuple(texts)


_REQUIRE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {
        "oneOf": [
            {"type": "boolean"},
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        ]
    },
}

Scopes = Annotated[tuple[str, ...], AfterValidator(_scopes)]
Require = Annotated[dict[str, Required], BeforeValidator(_require), WithJsonSchema(_REQUIRE_SCHEMA)]
