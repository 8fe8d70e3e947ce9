"""A device in plain words: what browsers say of themselves, and what anybody might."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.caller.device import _BROWSERS, _SYSTEMS, device_words

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15"
X11 = "Mozilla/5.0 (X11; Linux x86_64"
GECKO = "Gecko/20100101"


@pytest.mark.rule("S-16")
@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (f"{X11}; rv:145.0) {GECKO} Firefox/145.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Android 15; Mobile; rv:145.0) {GECKO} Firefox/145.0", "Firefox on Android"),
        (f"{IPHONE} FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        (f"{WINDOWS} {CHROMIUM} Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} {CHROMIUM} Safari/537.36 Edg/141.0.0.0", "Edge on Windows"),
        (f"{WINDOWS} {CHROMIUM} Safari/537.36 OPR/120.0.0.0", "Opera on Windows"),
        (f"Mozilla/5.0 (X11; CrOS x86_64) {CHROMIUM} Safari/537.36", "Chrome on ChromeOS"),
        (f"{MAC} AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15", "Safari on macOS"),
        (f"{IPHONE} Version/26.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (
            "Mozilla/5.0 (Linux; Android 14; SM-S901B) AppleWebKit/537.36 (KHTML, like Gecko) "
            "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        ("curl/8.5.0", "Unknown device"),
        ("Something of our own (Linux)", "Unknown browser on Linux"),
        ("Firefox/1", "Firefox"),
        ("", "Unknown device"),
        (None, "Unknown device"),
    ],
)
def test_a_device_is_named_in_plain_words(agent: str | None, words: str) -> None:
    assert device_words(None if agent is None else agent.encode()) == words


@given(st.binary())
def test_only_words_of_the_tables_are_said(agent: bytes) -> None:
    browsers = {words for _, words in _BROWSERS} | {"Unknown browser"}
    systems = {words for _, words in _SYSTEMS}
    allowed = {f"{browser} on {system}" for browser in browsers for system in systems}
    assert device_words(agent) in allowed | browsers | {"Unknown device"}
