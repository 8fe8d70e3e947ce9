"""The pages a person sees: account chooser, consent, signing out, and what went wrong.

Plain HTML without script. The policy allows our own style sheet and avatars; `form-action` names
the client's origin too, because Chromium applies it to the redirect that follows a form.
"""

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from bff.simulator.realm import Realm
from bff.simulator.refusal import Answer
from bff.simulator.settings import SCOPES, Account, Client


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _page(
    realm: Realm,
    title: str,
    content: str,
    *,
    status: int = 200,
    to: str | None = None,
    frames: Iterable[str] = (),
    refresh: str = "",
) -> HTMLResponse:
    target = "" if to is None else f" {_origin(to)}"
    framed = " ".join(sorted({_origin(url) for url in frames})) or "'none'"
    base = escape(realm.settings.path)
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{refresh}<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{base}/simulator.css">
</head>
<body>
<main>
{content}
</main>
<footer>bff simulator &middot; for development: no passwords, no security</footer>
</body>
</html>
"""
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        f"form-action 'self'{target}; frame-src {framed}; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        # Not no-referrer: with that, a browser posts forms with `Origin: null`.
        "Referrer-Policy": "same-origin",
    }
    return HTMLResponse(html, status, headers)


def _form(realm: Realm, action: str, ticket: str, content: str) -> str:
    return (
        f'<form method="post" action="{escape(realm.settings.path)}{action}">\n'
        f'<input type="hidden" name="ticket" value="{escape(ticket)}">\n{content}\n</form>'
    )


def _person(realm: Realm, account: Account) -> str:
    picture = f"{escape(realm.settings.path)}/avatars/{escape(account.sub)}.svg"
    return (
        f'<img src="{picture}" alt="" width="44" height="44">'
        f"<span><b>{escape(account.name)}</b><small>{escape(account.email)}</small></span>"
    )


def chooser_page(
    realm: Realm,
    client: Client,
    ticket: str,
    *,
    first: str | None,
    signed_in: str | None,
    to: str,
) -> HTMLResponse:
    """Who are you? `first` is the `sub` to put on top, `signed_in` the one with a session."""
    accounts = sorted(realm.settings.accounts, key=lambda account: account.sub != first)
    buttons = "\n".join(
        f'<button class="account" name="account" value="{escape(account.sub)}">'
        f"{_person(realm, account)}"
        f"{'<em>signed in</em>' if account.sub == signed_in else ''}</button>"
        for account in accounts
    )
    cancel = '<button class="quiet" name="decision" value="cancel">Cancel</button>'
    return _page(
        realm,
        f"Sign in to {client.client_name}",
        f"<h1>Sign in</h1>\n<p>Choose who you are for <b>{escape(client.client_name)}</b>.</p>\n"
        + _form(realm, "/choose", ticket, f"{buttons}\n{cancel}"),
        to=to,
    )


def consent_page(
    realm: Realm, client: Client, ticket: str, account: Account, scope: Iterable[str], to: str
) -> HTMLResponse:
    """May the client have this? `to` is the redirect URI of the request."""
    wishes = "\n".join(f"<li>{escape(SCOPES.get(name, name))}</li>" for name in scope)
    return _page(
        realm,
        f"Allow {client.client_name}?",
        f'<h1>Allow access?</h1>\n<div class="person">{_person(realm, account)}</div>\n'
        f"<p><b>{escape(client.client_name)}</b> would like to:</p>\n<ul>{wishes}</ul>\n"
        + _form(
            realm,
            "/consent",
            ticket,
            '<div class="choice">'
            '<button class="quiet" name="decision" value="deny">Deny</button>'
            '<button class="main" name="decision" value="allow">Allow</button></div>',
        ),
        to=to,
    )


def leaving_page(
    realm: Realm, ticket: str, account: Account | None, to: str | None
) -> HTMLResponse:
    """Do you really want to sign out? Asked where no valid hint proves it."""
    person = "" if account is None else f'<div class="person">{_person(realm, account)}</div>\n'
    return _page(
        realm,
        "Sign out?",
        f"<h1>Sign out?</h1>\n{person}"
        + _form(
            realm,
            "/end-session/confirm",
            ticket,
            '<div class="choice">'
            '<button class="quiet" name="decision" value="stay">Stay signed in</button>'
            '<button class="main" name="decision" value="sign_out">Sign out</button></div>',
        ),
        to=to,
    )


def departure_page(realm: Realm, frames: Sequence[str], to: str | None) -> HTMLResponse:
    """Signed out; the clients hear of it in frames, and then the browser goes on."""
    hidden = "".join(
        f'<iframe src="{escape(url)}" title="" hidden width="1" height="1"></iframe>'
        for url in frames
    )
    onward, refresh = "", ""
    if to is not None:
        onward = f'<p><a href="{escape(to)}">Continue</a></p>'
        refresh = f'<meta http-equiv="refresh" content="2;url={escape(to)}">\n'
    return _page(
        realm,
        "Signed out",
        f"<h1>Signed out</h1>\n<p>You are signed out of the simulator.</p>\n{onward}{hidden}",
        frames=frames,
        refresh=refresh,
    )


def note_page(realm: Realm, title: str, text: str) -> HTMLResponse:
    """One sentence, nothing to do."""
    return _page(realm, title, f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>")


def refusal_page(realm: Realm, answer: Answer) -> HTMLResponse:
    """What was wrong with the request, for whoever builds the client."""
    return _page(
        realm,
        "That request is not right",
        f"<h1>That request is not right</h1>\n<p>{escape(answer.description)}.</p>\n"
        f"<p><code>{escape(answer.error)}</code></p>",
        status=answer.status,
    )
