"""What passes to an upstream and back, as properties. The oracles share no code with the rules."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bff.problem import Headers
from bff.relay.headers import is_own_cookie, private, to_browser, to_upstream

TOKEN = string.ascii_letters + string.digits + "-!#$%&'*+.^`|~"
name = st.text(TOKEN, min_size=1, max_size=20).map(str.encode)
value = st.text(string.printable[:95], max_size=30).map(str.encode)
header = st.tuples(name.map(bytes.lower), value)
headers = st.lists(header, max_size=12)


@pytest.mark.rule("Q-08")
@given(headers=headers, named=name)
def test_a_name_listed_in_connection_never_passes(headers: Headers, named: bytes) -> None:
    sent: Headers = [*headers, (b"connection", b"close, " + named), (named.lower(), b"1")]
    up = to_upstream(sent, route_sets=(), cookies=())
    down, _ = to_browser(sent, cookies=())
    assert named.lower() not in {found for found, _ in up + down}


@pytest.mark.rule("Q-22")
@given(headers=headers)
def test_what_passes_keeps_its_order_and_its_octets(headers: Headers) -> None:
    up = to_upstream(headers, route_sets=(), cookies=())
    left = iter(headers)
    assert all(each in left for each in up)  # a subsequence


@pytest.mark.rule("Q-06")
@given(headers=headers, cookies=st.lists(st.tuples(name, value), max_size=8), allowed=name)
@example(headers=[], cookies=[(b"bff", b"1"), (b"a", b"2")], allowed=b"bff")
def test_only_named_cookies_pass_and_never_ours(
    headers: Headers, cookies: list[tuple[bytes, bytes]], allowed: bytes
) -> None:
    plain = [(found, each) for found, each in headers if found != b"cookie"]
    pairs = [(found, each.replace(b";", b"")) for found, each in cookies]
    line = b"; ".join(found + b"=" + each for found, each in pairs)
    sent = [*plain, (b"cookie", line)]
    passed = to_upstream(sent, route_sets=(), cookies={allowed})
    (*rest,) = [each for found, each in passed if found == b"cookie"]
    kept = {pair.strip().partition(b"=")[0] for each in rest for pair in each.split(b";")}
    assert kept <= {allowed}
    assert not any(found.lower().endswith(b"bff") and found == b"bff" for found in kept)


@pytest.mark.parametrize(
    ("cookie", "ours"),
    [
        (b"bff", True), (b"BFF", True), (b"__Host-Http-bff", True), (b"__host-bff", True),
        (b"__Secure-bff", True), (b"bff-login-0123", True), (b"__Host-Http-bff-logout", True),
        (b"bffx", False), (b"my-bff", False), (b"theme", False), (b"", False),
    ],
)  # fmt: skip
@pytest.mark.rule("A-02", "Q-06")
def test_which_cookies_are_ours(cookie: bytes, ours: bool) -> None:
    assert is_own_cookie(cookie) is ours


@pytest.mark.rule("A-07")
@given(
    directives=st.lists(
        st.sampled_from(
            ["public", "PUBLIC", "s-maxage=60", "max-age=60", "no-cache", "no-store", "private",
             "must-revalidate", 'no-cache="set-cookie"', "S-MaxAge = 5"]
        ),
        max_size=6,
    ),
    tagged=st.booleans(),
)  # fmt: skip
def test_no_answer_leaves_for_a_shared_cache(directives: list[str], tagged: bool) -> None:
    sent: Headers = [(b"cache-control", ", ".join(directives).encode())] if directives else []
    if tagged:
        sent.append((b"etag", b'"1"'))
    (said,) = [
        each
        for found, each in private(sent, to_browser(sent, cookies=())[1])
        if found == b"cache-control"
    ]
    words = [part.strip().lower() for part in said.decode().split(",")]
    assert "public" not in words
    assert not any(word.replace(" ", "").startswith("s-maxage") for word in words)
    assert "private" in words or "no-store" in words


@pytest.mark.rule("Q-17")
@given(headers=headers)
def test_no_name_with_an_underscore_passes(headers: Headers) -> None:
    sent = [(found.replace(b"-", b"_"), each) for found, each in headers]
    assert all(b"_" not in found for found, _ in to_upstream(sent, route_sets=(), cookies=()))
