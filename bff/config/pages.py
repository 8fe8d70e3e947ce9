"""What the files of a route carry for the browser's own defences: the policy, other headers.

A policy may be written whole, or as a table of directives over the default one. Names and choices
that browsers do not know are refused: they would be ignored without a word.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from bff.config.values import fault

DEFAULT_DIRECTIVES: Final[Mapping[str, str]] = {
    "default-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
}
_DIRECTIVES: Final = frozenset(
    {
        *DEFAULT_DIRECTIVES, "child-src", "connect-src", "fenced-frame-src", "font-src",
        "frame-src", "img-src", "manifest-src", "media-src", "report-to", "report-uri",
        "require-trusted-types-for", "sandbox", "script-src", "script-src-attr",
        "script-src-elem", "style-src", "style-src-attr", "style-src-elem", "trusted-types",
        "upgrade-insecure-requests", "webrtc", "worker-src",
    }
)  # fmt: skip
_ANYBODY: Final = frozenset({"*", "http:", "https:", "ws:", "wss:", "data:", "blob:"})
_NONCES: Final = ("'nonce-", "'sha256-", "'sha384-", "'sha512-")

DEFAULT_PAGE_HEADERS: Final[Mapping[str, str]] = {
    "referrer-policy": "strict-origin-when-cross-origin",
    "cross-origin-opener-policy": "same-origin",
}
_OPENER: Final = frozenset(
    {"same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"}
)
_EMBEDDER: Final = frozenset({"require-corp", "credentialless", "unsafe-none"})
REFERRERS_TO_ALL: Final = frozenset({"unsafe-url", "no-referrer-when-downgrade"})
# A field → what it may say; None: what browsers read as a list of their own.
_HEADERS: Final[Mapping[str, frozenset[str] | None]] = {
    "content-security-policy-report-only": None,
    "permissions-policy": None,
    "permissions-policy-report-only": None,
    "document-policy": None,
    "reporting-endpoints": None,
    "cross-origin-opener-policy": _OPENER,
    "cross-origin-opener-policy-report-only": _OPENER,
    "cross-origin-embedder-policy": _EMBEDDER,
    "cross-origin-embedder-policy-report-only": _EMBEDDER,
    "cross-origin-resource-policy": frozenset({"same-origin", "same-site", "cross-origin"}),
    "origin-agent-cluster": frozenset({"?0", "?1"}),
    "referrer-policy": REFERRERS_TO_ALL
    | {
        "no-referrer", "origin", "origin-when-cross-origin", "same-origin", "strict-origin",
        "strict-origin-when-cross-origin",
    },
    "x-frame-options": frozenset({"DENY", "SAMEORIGIN"}),
    "x-permitted-cross-domain-policies": frozenset({"none"}),
}  # fmt: skip
_ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    "content-security-policy": (
        "sets Content-Security-Policy, which has a key of its own",
        "use content_security_policy",
    ),
    "strict-transport-security": (
        "sets Strict-Transport-Security, which every answer of the origin carries alike",
        "remove it",
    ),
    "x-content-type-options": (
        "sets X-Content-Type-Options, which every answer carries",
        "remove it",
    ),
}


def _policy(value: object) -> object:
    """The policy as one text, from a text or from a table of directives over the default."""
    if isinstance(value, dict):
        if not all(isinstance(text, str) for text in value.values()):
            raise fault("holds a directive that is no text", "write each value in quotes")
        directives = {**DEFAULT_DIRECTIVES, **value}
    elif isinstance(value, str):
        directives = _directives(value)
    else:
        raise fault("is neither a policy nor a table", "write it in quotes, or a table in { }")
    _judge(directives)
    return policy_text(directives)


def policy_text(directives: Mapping[str, str]) -> str:
    """The directives as one field value (CSP 3 §2.2)."""
    return "; ".join(f"{name} {sources}".rstrip() for name, sources in directives.items())


def _directives(text: str) -> dict[str, str]:
    """The directives of a policy by their names. The first of two would count, unnoticed."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, _, sources = part.strip().partition(" ")
        if name.lower() in found:
            raise fault("names a directive twice", "keep one of them")
        if name:
            found[name.lower()] = sources.strip()
    return found


def _judge(directives: Mapping[str, str]) -> None:
    for name, sources in directives.items():
        if name not in _DIRECTIVES:
            raise fault("holds a directive that browsers do not know", "see CSP 3, or remove it")
        # A comma would begin another policy, a semicolon another directive.
        if not _carried(sources) or {",", ";"} & set(sources):
            raise fault("holds what no policy can carry", "use printable ASCII without , and ;")
    for name in ("frame-ancestors", "base-uri", "object-src"):
        listed = effective(directives, name).split()
        if not listed or _ANYBODY & set(listed):
            raise fault(
                f"lets every source through in {name}" if listed else f"says nothing of {name}",
                f"name its sources, as {name} 'none'",
            )


def effective(directives: Mapping[str, str], name: str) -> str:
    """What governs that directive: itself, or default-src where it falls back to it."""
    falls_back = name.endswith("-src")
    return directives.get(name, directives.get("default-src", "") if falls_back else "")


def runs_foreign_scripts(policy: str) -> bool:
    """Whether a script that was slipped into the page would run."""
    sources = effective(_directives(policy), "script-src").split()
    inline = "'unsafe-inline'" in sources and not any(
        source.startswith(_NONCES) or source == "'strict-dynamic'" for source in sources
    )
    return inline or not sources or bool(_ANYBODY & set(sources)) or "'unsafe-eval'" in sources


def _security_headers(value: dict[str, str]) -> dict[str, str]:
    """The fields by their names in lower case."""
    found: dict[str, str] = {}
    for raw, text in value.items():
        name = raw.lower()
        if name in _ELSEWHERE:
            raise fault(*_ELSEWHERE[name])
        if name not in _HEADERS:
            raise fault("sets a field that is no security header", "remove it")
        if name in found:
            raise fault("sets a field twice, in two spellings", "keep one of them")
        if not text or not _carried(text):
            raise fault("sets a field to what HTTP cannot carry", "use printable ASCII")
        _judge_choice(name, text)
        found[name] = text
    return found


def _judge_choice(name: str, text: str) -> None:
    choices = _HEADERS[name]
    if choices is None:
        return
    # Referrer-Policy is a list, of which browsers take the last that they know; parameters follow
    # the others.
    stated = text.split(",") if name == "referrer-policy" else [text.partition(";")[0]]
    if not all(each.strip() in choices for each in stated):
        written = ", ".join(sorted(choices))
        raise fault(f"sets {name} to what browsers do not know", f"write one of {written}")


def _carried(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()


_POLICY_SCHEMA: Final[dict[str, Any]] = {
    "oneOf": [
        {"type": "string"},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ]
}
Policy = Annotated[str, BeforeValidator(_policy), WithJsonSchema(_POLICY_SCHEMA)]
SecurityHeaders = Annotated[dict[str, str], AfterValidator(_security_headers)]
