"""The second page: who is signed in, found by subject, ended after a second click. Pure."""

from dataclasses import dataclass, field
from html import escape
from typing import Final
from urllib.parse import urlencode

from bff.operate.admin.desk import MOST, READING, Found
from bff.operate.admin.words import counted, moment
from bff.session.people import Listed

PER_PAGE: Final = 100
SUBJECT: Final = 255  # characters; OpenID Connect Core §2 has it no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked for: a person, or nobody by name; which page, from 1 on."""

    frontend: str
    subject: str = field(repr=False)
    page: int

    def address(self, page: int, **more: str) -> str:
        """Where a page of the answer is."""
        asked = {"frontend": self.frontend, "subject": self.subject, "page": str(page)}
        return f"/admin/people?{urlencode(asked | more)}"


def search(question: Question, frontends: tuple[str, ...]) -> str:
    """The form that asks."""
    options = "".join(
        f"<option{' selected' if name == question.frontend else ''}>{escape(name)}</option>"
        for name in frontends
    )
    which = (
        f'<label>Front end <select name="frontend">{options}</select></label>'
        if len(frontends) > 1
        else f'<input type="hidden" name="frontend" value="{escape(question.frontend)}">'
    )
    return (
        f'<form class="search" role="search" action="/admin/people">{which}'
        '<label>Subject <input type="search" name="subject" autocomplete="off" spellcheck="false"'
        f' autocapitalize="none" maxlength="{SUBJECT}" value="{escape(question.subject)}"'
        ' placeholder="The sub of one person"></label><button class="main">Search</button>'
        "<p>The whole <code>sub</code>, letter by letter. Empty: everybody.</p></form>"
    )


def notice(text: str, *, bad: bool = False) -> str:
    """A line about what was just done, or could not be."""
    role = 'class="notice bad" role="alert"' if bad else 'class="notice" role="status"'
    return f'<p {role} data-testid="notice">{escape(text)}</p>'


def people(question: Question, found: Found, token: str) -> str:
    """The answer: one page of the sessions that were found."""
    pages = max(1, -(-len(found.sessions) // PER_PAGE))
    here = min(question.page, pages)
    shown = found.sessions[(here - 1) * PER_PAGE : here * PER_PAGE]
    items = "".join(_session(each, question, token) for each in shown)
    return (
        f'<div class="above"><h2>{counted(len(found.sessions))}</h2>'
        f"{_everywhere(question, found, token)}</div>{_cut(found)}"
        + (f'<ul class="sessions" data-testid="sessions">{items}</ul>' if shown else "")
        + _turning(question, here, pages)
    )


def _cut(found: Found) -> str:
    if not found.cut:
        return ""
    return notice(
        f"There may be others: reading everybody stops after {counted(MOST)} or {READING:g}"
        " seconds. A person who is searched by subject is found always."
    )


def _session(listed: Listed, question: Question, token: str) -> str:
    entry = listed.entry
    address = (
        f"<div><dt>Address</dt><dd>{escape(entry.address)}</dd></div>" if entry.address else ""
    )
    again = {"frontend": question.frontend, "subject": entry.sub, "page": "1"}
    who = (
        f"<b>{escape(entry.sub)}</b>"
        if question.subject
        else f'<a href="/admin/people?{escape(urlencode(again))}"><b>{escape(entry.sub)}</b></a>'
    )
    # A subject without a token of its own is looked at first: the token is bound to it.
    ending = (
        _form(question, token, entry.handle, "End…", f"End this session of {entry.sub}?")
        if question.subject
        else ""
    )
    return (
        f'<li class="card"><div class="who">{who}<span>{escape(entry.device)}</span></div>'
        f"<dl><div><dt>Began, UTC</dt><dd>{moment(entry.created_at)}</dd></div>"
        f"<div><dt>Last seen, UTC</dt><dd>{moment(listed.live.seen_at)}</dd></div>{address}</dl>"
        f"{ending}</li>"
    )


def _everywhere(question: Question, found: Found, token: str) -> str:
    if not question.subject or not found.sessions:
        return ""
    asked = f"End every session of {question.subject}, in all browsers?"
    return _form(question, token, "", "End all…", asked)


def _form(question: Question, token: str, handle: str, opens: str, asks: str) -> str:
    """A button behind another: the first only asks. No script is needed for that."""
    hidden = {
        "frontend": question.frontend,
        "subject": question.subject,
        "handle": handle,
        "token": token,
    }
    fields = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    button = "End this session" if handle else "End all sessions"
    return (
        f'<details class="end"><summary><span>{opens}</span><span>Keep</span></summary>'
        f'<form method="post" action="/admin/people">{fields}<p>{escape(asks)}</p>'
        f'<button class="bad">{button}</button></form></details>'
    )


def _turning(question: Question, here: int, pages: int) -> str:
    if pages == 1:
        return ""
    newer = f'<a rel="prev" href="{escape(question.address(here - 1))}">Newer</a>'
    older = f'<a rel="next" href="{escape(question.address(here + 1))}">Older</a>'
    return (
        f'<nav class="turning" aria-label="Pages of sessions">{newer if here > 1 else "<i></i>"}'
        f"<span>Page {here} of {pages}</span>{older if here < pages else '<i></i>'}</nav>"
    )
