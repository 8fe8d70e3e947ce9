"""The small pages of ours: one look, no script, nothing from elsewhere."""

import base64
import hashlib
import html
from collections.abc import Sequence
from typing import Final

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;padding:0 1.5rem}"
    "h1{font-size:1.35rem;font-weight:600;margin:0 0 .5rem}"
    "p{margin:.5rem 0}small{opacity:.65}a{color:inherit}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PAGE_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'".encode(),
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def page(
    title: str,
    sentences: tuple[str, ...],
    *,
    link: tuple[str, str] | None = None,
    choices: Sequence[tuple[str, str]] = (),
    go_to: str | None = None,
) -> bytes:
    """A small page without script or foreign resource; `link` and `choices` are (URL, text).

    `go_to` makes it navigate itself at once: a navigation that starts on our own origin carries
    the Strict cookie, which a redirect from the provider's would not.
    """
    refresh = (
        f'<meta http-equiv="refresh" content="0;url={html.escape(go_to)}">'
        if go_to is not None
        else ""
    )
    paragraphs = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    anchor = "".join(
        f'<p><a href="{html.escape(url)}">{html.escape(text)}</a></p>'
        for url, text in (*choices, *([link] if link else []))
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"{refresh}<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{html.escape(title)}</h1>{paragraphs}{anchor}</main></body></html>"
    ).encode()
