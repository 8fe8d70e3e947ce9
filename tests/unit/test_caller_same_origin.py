"""The proof that our own page is asking, over the whole product of what may be asked (rows X)."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.caller.request import BrowserRequest
from bff.caller.same_origin import (
    fetch_site,
    is_preflight,
    require_own_form,
    require_same_origin,
)
from bff.config.values import Origin
from bff.problem import Refused
from tests.parts.requests import a_request

ORIGIN = Origin("https://app.example.com")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")
SITES = (None, "same-origin", "same-site", "cross-site", "none", "nonsense", "")
ORIGINS = (
    None,
    ORIGIN,
    "null",
    "https://evil.example",
    "http://app.example.com",
    f"{ORIGIN}:443",
    "",
)
HEADERS = (None, "1", "0", "")
REFERERS = (None, f"{ORIGIN}/page", "https://evil.example/", "https://[")
MODES = ((None, None), ("navigate", "document"), ("navigate", "iframe"), ("cors", "empty"))


def asked(method: str, **fields: str | None) -> BrowserRequest:
    named = [(name.replace("_", "-"), value) for name, value in fields.items() if value is not None]
    return a_request(method, *named)


def verdict(request: BrowserRequest, *, navigation: bool) -> str | None:
    try:
        require_same_origin(request, ORIGIN, navigation=navigation)
    except Refused as refused:
        return refused.reason.value
    return None


# Read from the rows, in their own order: the first line that fits decides.
# what the browser says of the asker; contradicting values refuse whatever else is there
Row = dict[str, object]
Rules = tuple[tuple[str, str | None, Callable[[Row], object]], ...]
RULES: Rules = (
    ("X-04", "cross_site", lambda r: r["site"] in ("same-site", "cross-site")),
    (
        "X-07",
        "cross_site",
        lambda r: r["origin"] is not None and r["origin"] != "https://app.example.com",
    ),
    (
        "X-05",
        None,
        lambda r: (
            r["navigation"]
            and (r["method"], r["mode"], r["dest"]) == ("GET", "navigate", "document")
            and r["site"] in ("none", "same-origin")
        ),
    ),
    ("X-05", "not_same_origin", lambda r: r["site"] == "none"),
    ("X-03", None, lambda r: r["method"] in ("GET", "HEAD") and r["site"] == "same-origin"),
    ("X-02", "not_same_origin", lambda r: r["csrf"] != "1"),
    ("X-03", None, lambda r: r["method"] in ("GET", "HEAD")),
    ("X-06", None, lambda r: r["site"] == "same-origin"),
    ("X-06", None, lambda r: r["origin"] == "https://app.example.com"),
    ("X-06", None, lambda r: r["referer"] == "https://app.example.com/page"),
    ("X-06", "not_same_origin", lambda _: True),
)


@pytest.mark.rule("X-01")
@pytest.mark.rule("X-02")
@pytest.mark.rule("X-03")
@pytest.mark.rule("X-04")
@pytest.mark.rule("X-05")
@pytest.mark.rule("X-06")
@pytest.mark.rule("X-07")
def test_every_combination_is_judged_as_the_rows_say() -> None:
    used = set()
    whole = itertools.product(METHODS, SITES, ORIGINS, HEADERS, REFERERS, MODES, (False, True))
    for method, site, origin, csrf, referer, (mode, dest), navigation in whole:
        said = site if site in ("same-origin", "same-site", "cross-site", "none") else None
        row: Row = {
            "method": method,
            "site": said,
            "origin": origin,
            "csrf": csrf,
            "mode": mode,
            "dest": dest,
            "navigation": navigation,
            "referer": referer,
        }
        number = next(n for n, (_, _, fits) in enumerate(RULES) if fits(row))
        used.add(number)
        request = asked(
            method,
            sec_fetch_site=site,
            origin=origin,
            x_csrf=csrf,
            referer=referer,
            sec_fetch_mode=mode,
            sec_fetch_dest=dest,
        )
        assert verdict(request, navigation=navigation) == RULES[number][1], row
    assert used == set(range(len(RULES))), "a rule that decides nothing"


@pytest.mark.rule("X-08")
@pytest.mark.parametrize("navigation", [False, True])
def test_a_preflight_is_refused_whatever_else_it_carries(navigation: bool) -> None:
    for site, origin, csrf in itertools.product(SITES, ORIGINS, HEADERS):
        request = asked(
            "OPTIONS",
            sec_fetch_site=site,
            origin=origin,
            x_csrf=csrf,
            access_control_request_method="POST",
        )
        assert is_preflight(request)
        assert verdict(request, navigation=navigation) == "cross_site"


FORM_RULES: tuple[tuple[str | None, Callable[[Row], object]], ...] = (
    ("cross_site", lambda r: r["site"] in ("same-site", "cross-site")),
    ("cross_site", lambda r: r["origin"] not in (None, "null", "https://app.example.com")),
    (None, lambda r: r["site"] == "same-origin"),
    ("not_same_origin", lambda r: r["site"] == "none"),
    ("not_same_origin", lambda r: r["origin"] is None),
    ("cross_site", lambda r: r["origin"] == "null"),
    (None, lambda _: True),
)


@pytest.mark.rule("X-09")
def test_every_form_is_judged_as_the_row_says() -> None:
    used = set()
    for site, origin, csrf, referer in itertools.product(SITES, ORIGINS, HEADERS, REFERERS):
        said = site if site in ("same-origin", "same-site", "cross-site", "none") else None
        row: Row = {"site": said, "origin": origin}
        number = next(n for n, (_, fits) in enumerate(FORM_RULES) if fits(row))
        used.add(number)
        request = asked("POST", sec_fetch_site=site, origin=origin, x_csrf=csrf, referer=referer)
        try:
            require_own_form(request, ORIGIN)
            found = None
        except Refused as refused:
            found = refused.reason.value
        assert found == FORM_RULES[number][0], row
    assert used == set(range(len(FORM_RULES)))


@pytest.mark.rule("X-02")
@given(value=st.text(st.characters(codec="latin-1"), max_size=6))
def test_only_the_one_value_of_the_header_proves_anything(value: str) -> None:
    request = asked("POST", sec_fetch_site="same-origin", origin=ORIGIN, x_csrf=value)
    assert (verdict(request, navigation=False) is None) == (value == "1")


@pytest.mark.rule("X-07")
@given(origin=st.text(st.characters(codec="latin-1"), max_size=40))
def test_only_our_own_origin_to_the_letter_is_ours(origin: str) -> None:
    request = asked("POST", sec_fetch_site="same-origin", origin=origin, x_csrf="1")
    assert (verdict(request, navigation=False) is None) == (origin == ORIGIN)


@pytest.mark.rule("X-06")
@given(referer=st.text(st.characters(codec="latin-1"), max_size=60))
def test_no_odd_referer_is_a_proof_or_a_crash(referer: str) -> None:
    ours = referer.partition("?")[0].partition("#")[0]
    proven = ours == ORIGIN or ours.startswith(f"{ORIGIN}/")
    found = verdict(asked("POST", x_csrf="1", referer=referer), navigation=False)
    assert found is None or not proven or found == "not_same_origin"
    if not proven:
        assert found == "not_same_origin"


@pytest.mark.rule("X-06")
@pytest.mark.parametrize("name", ["sec-fetch-site", "origin", "x-csrf"])
def test_a_field_sent_twice_never_counts_as_its_single_value(name: str) -> None:
    good = {"sec-fetch-site": "same-origin", "origin": ORIGIN, "x-csrf": "1"}
    request = a_request("POST", *good.items(), (name, good[name]))
    if name == "sec-fetch-site":
        assert fetch_site(request) is None
        assert verdict(request, navigation=False) is None  # the two others prove it
    else:
        assert verdict(request, navigation=False) in ("cross_site", "not_same_origin")
