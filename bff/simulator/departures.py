"""Named wrong answers: from the right response to the one a broken server would send.

For every endpoint that answers with JSON. ID tokens and callbacks have tables of their own, in
`id_token` and `callback`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response


def _edited(edit: Callable[[dict[str, Any]], object]) -> Callable[[Response], Response]:
    def departure(right: Response) -> Response:
        document = json.loads(bytes(right.body))
        edit(document)
        return JSONResponse(document, right.status_code)

    return departure


def _raw(body: bytes, content_type: str = "application/json") -> Callable[[Response], Response]:
    return lambda right: Response(body, right.status_code, media_type=content_type)


ANSWER_DEPARTURES: Final[Mapping[str, Callable[[Response], Response]]] = {
    "not_json": _raw(b'{"access_token": '),
    "not_an_object": _raw(b'["access_token"]'),
    "empty": _raw(b""),
    "not_utf8": _raw(b'{"access_token": "\xff\xfe"}'),
    "deeply_nested": _raw(b"[" * 100_000 + b"]" * 100_000),
    "no_keys": _raw(b'{"keys": []}'),
    "html": _raw(b"<!doctype html><title>Maintenance</title>", "text/html"),
    "wrong_content_type": lambda right: Response(
        bytes(right.body), right.status_code, media_type="text/plain"
    ),
    "oversize": _edited(lambda document: document.update(padding="x" * 4_000_000)),
    "missing_access_token": _edited(lambda document: document.pop("access_token", None)),
    "access_token_not_a_string": _edited(lambda document: document.update(access_token=17)),
    "missing_token_type": _edited(lambda document: document.pop("token_type", None)),
    "wrong_token_type": _edited(lambda document: document.update({"token_type": "mac"})),
    "expires_in_string": _edited(
        lambda document: document.update(expires_in=str(document.get("expires_in", 0)))
    ),
    "expires_in_negative": _edited(lambda document: document.update(expires_in=-1)),
    "expires_in_nonsense": _edited(lambda document: document.update(expires_in="soon")),
    "scope_not_a_string": _edited(lambda document: document.update(scope=["openid"])),
    "other_sub": _edited(lambda document: document.update(sub="somebody-else")),
    "missing_sub": _edited(lambda document: document.pop("sub", None)),
    "scope_narrowed": _edited(lambda document: document.update(scope="openid")),
    "wrong_issuer": _edited(lambda document: document.update(issuer="https://evil.example")),
}
