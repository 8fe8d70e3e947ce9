"""The admin page's parts: who may see it, whose forms count, what its charts draw."""

import base64
import xml.etree.ElementTree as ET

import pytest

from bff.config.load import ConfigFaults, parse
from bff.config.risks import risks
from bff.journal.metrics import CREATED, ENDED, FAST, REFUSALS, STORE_SECONDS, Snapshot
from bff.operate.admin import forgery
from bff.operate.admin.chart import HEIGHT, figure
from bff.operate.admin.credential import ADDRESSES, ATTEMPTS, SECONDS, Attempts, knows
from bff.operate.admin.desk import Found
from bff.operate.admin.history import KEPT, History, Sample, last_seen, over_time, sample
from bff.operate.admin.overview import Known, overview
from bff.operate.admin.people import Question, people
from bff.operate.admin.words import counted, milliseconds
from bff.operate.health import Health, Worker
from tests.parts.config import config_text

PASSWORD = "correct horse: battery, 1 staple"


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("authorization", "known"),
    [
        pytest.param(basic(f"operator:{PASSWORD}"), True, id="the password, with its colon"),
        pytest.param(basic(f":{PASSWORD}"), True, id="no user name"),
        pytest.param(
            basic(f"x:{PASSWORD}").replace(b"Basic", b"bAsIc"), True, id="RFC 9110: any case"
        ),
        pytest.param(None, False, id="nothing"),
        pytest.param(b"", False, id="empty"),
        pytest.param(b"Basic", False, id="a scheme alone"),
        pytest.param(b"Basic !!!", False, id="no base64"),
        pytest.param(basic(PASSWORD), False, id="no colon before it"),
        pytest.param(basic(f"operator:{PASSWORD} "), False, id="one character more"),
        pytest.param(basic(f"operator:{PASSWORD[:-1]}"), False, id="one less"),
        pytest.param(basic(f"x:{PASSWORD}").replace(b"Basic", b"Bearer"), False, id="not Basic"),
    ],
)
def test_only_the_password_opens(authorization: bytes | None, known: bool) -> None:
    assert knows(authorization, PASSWORD) is known


def test_wrong_passwords_of_an_address_are_few_and_only_its_own() -> None:
    attempts = Attempts()
    for _ in range(ATTEMPTS):
        assert not attempts.too_many("192.0.2.1", 100.0)
        attempts.wrong("192.0.2.1", 100.0)
    assert attempts.too_many("192.0.2.1", 100.0)
    assert not attempts.too_many("192.0.2.2", 100.0)
    assert not attempts.too_many("192.0.2.1", 100.0 + SECONDS)
    attempts.wrong("192.0.2.1", 100.0 + SECONDS)
    assert attempts.too_many("192.0.2.1", 100.0 + SECONDS)


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    attempts = Attempts()
    for number in range(ADDRESSES + 1):
        for _ in range(ATTEMPTS):
            attempts.wrong(str(number), 0.0)
    assert not attempts.too_many("0", 0.0)
    assert attempts.too_many("1", 0.0)


KEY, OTHER = b"k" * 32, b"o" * 32
BOUND = ("default", "ada")
TOKEN = forgery.token(KEY, BOUND, 1000)


@pytest.mark.parametrize(
    ("given", "key", "bound_to", "now", "ours"),
    [
        pytest.param(TOKEN, KEY, BOUND, 1000, True, id="the page's own"),
        pytest.param(TOKEN, KEY, BOUND, 1000 + forgery.LASTS, True, id="at the last second"),
        pytest.param(TOKEN, KEY, BOUND, 1001 + forgery.LASTS, False, id="a page that stood long"),
        pytest.param(TOKEN, OTHER, BOUND, 1000, False, id="another process's"),
        pytest.param(TOKEN, KEY, ("default", "grace"), 1000, False, id="another person's"),
        pytest.param(TOKEN, KEY, ("defaulta", "da"), 1000, False, id="the same letters"),
        pytest.param("9" + TOKEN, KEY, BOUND, 1000, False, id="a longer life"),
        pytest.param("", KEY, BOUND, 1000, False, id="none"),
        pytest.param("\N{SUPERSCRIPT TWO}." + "0" * 64, KEY, BOUND, 0, False, id="no number"),
    ],
)
def test_a_form_counts_with_the_token_of_its_page(
    given: str, key: bytes, bound_to: tuple[str, ...], now: int, ours: bool
) -> None:
    assert forgery.is_ours(given, key, bound_to, now) is ours


@pytest.mark.parametrize(
    ("site", "origin", "allowed"),
    [
        (b"same-origin", b"http://ops.example:9090", True),
        (b"same-origin", None, True),
        (None, b"http://ops.example:9090", True),
        (None, b"https://OPS.example:9090", True),
        (None, None, False),
        (b"cross-site", b"http://ops.example:9090", False),
        (b"same-site", None, False),
        (b"none", None, False),
        (b"same-origin", b"https://evil.example", False),
        (None, b"http://ops.example", False),
        (None, b"null", False),
        (None, b"ftp://ops.example:9090", False),
    ],
)
def test_a_form_counts_only_from_our_own_origin(
    site: bytes | None, origin: bytes | None, allowed: bool
) -> None:
    given = {b"host": b"ops.example:9090", b"sec-fetch-site": site, b"origin": origin}
    headers = {name: value for name, value in given.items() if value is not None}
    assert forgery.from_here(headers) is allowed


def taken(created: float, ended: dict[str, float], refused: dict[str, float]) -> Snapshot:
    buckets = [0.0] * (len(FAST) + 1)
    buckets[0] = 4.0
    return {
        CREATED.name: [(("default",), created)],
        ENDED.name: [(("default", cause), value) for cause, value in ended.items()],
        REFUSALS.name: [((reason,), value) for reason, value in refused.items()],
        STORE_SECONDS.name: [(("load",), [*buckets, 0.5]), (("peek",), [*buckets, 1.5])],
    }


def test_a_sample_adds_up_what_shares_a_name() -> None:
    found = sample(taken(3, {"logout": 1, "max_per_user": 2}, {}), 10.0)
    assert found.counts["begun"] == {"default": 3}
    assert found.counts["ended"] == {"default": 3}
    assert found.counts["causes"] == {"logout": 1, "max_per_user": 2}
    assert found.counts["store"] == {"calls": 8, "seconds": 2.0}
    assert found.counts["refreshes"] == {}


SAMPLES = [
    sample(taken(0, {}, {}), 0.0),
    sample(taken(2, {}, {"no_session": 5}), 10.0),
    sample(taken(2, {"logout": 1}, {"no_session": 5}), 20.0),
    sample(taken(5, {"logout": 1}, {"no_session": 5, "no_route": 1}), 30.0),
]


def test_what_happened_lies_in_its_span_and_what_was_before_is_left_out() -> None:
    spans = {"since": 0.0, "width": 15.0}
    assert over_time(SAMPLES, "begun", count=2, **spans) == {"default": [2, 3]}
    assert over_time(SAMPLES, "causes", count=2, **spans) == {"logout": [0, 1]}
    assert over_time(SAMPLES, "begun", since=15.0, width=15.0, count=1) == {"default": [3]}
    assert last_seen(SAMPLES, "refusals") == {"no_session": 10.0, "no_route": 30.0}


def test_a_counter_that_went_back_draws_nothing() -> None:
    samples = [sample(taken(5, {}, {}), 0.0), sample(taken(1, {}, {}), 1.0)]
    assert over_time(samples, "begun", since=0.0, width=10.0, count=1) == {}


def test_the_ring_keeps_its_hours() -> None:
    history = History()
    for at in range(KEPT + 5):
        history.add(Sample(at=float(at), counts={}))
    kept = history.and_now(Sample(at=0.0, counts={}))
    assert (len(kept), kept[0].at) == (KEPT + 1, 5.0)


def drawn(html: str) -> ET.Element:
    """The picture; whatever is no XML fails here."""
    return ET.fromstring(html[html.index("<svg") : html.index("</svg>") + len("</svg>")])


def test_bars_stand_on_each_other_and_the_tallest_fills_the_picture() -> None:
    html = figure("Requests", {"2xx": [30, 10, 0], "5xx": [10, 0, 0]}, ("09:00", "10:00"))
    rects = [
        (each.attrib["class"], float(each.attrib["y"]), float(each.attrib["height"]))
        for each in drawn(html)
    ]
    assert rects == [
        ("good", HEIGHT / 4, HEIGHT * 3 / 4),
        ("good", HEIGHT * 3 / 4, HEIGHT / 4),
        ("bad", 0.0, HEIGHT / 4),
    ]
    assert drawn(html).attrib["aria-label"] == "Requests: 2xx 40, 5xx 10"
    assert "peak 40" in html


def test_many_series_are_five_and_others_each_in_a_colour_of_its_own() -> None:
    html = figure("Refusals", {f"r{place}": [10 - place] for place in range(8)}, ("", ""))
    svg = drawn(html)
    assert svg.attrib["aria-label"] == "Refusals: r0 10, r1 9, r2 8, r3 7, r4 6, others 12"
    assert len({each.attrib["class"] for each in svg}) == 6


def test_nothing_is_drawn_of_nothing_and_names_are_no_markup() -> None:
    assert len(drawn(figure("Refreshes", {}, ("", "")))) == 0
    html = figure("<b>", {'"><script>': [1]}, ("<", ">"))
    assert "<script" not in html
    assert drawn(html).attrib["aria-label"] == '<b>: "><script> 1'


def worker(heard: float | None, *troubles: str) -> Worker:
    return Worker(worker=0, pid=7, troubles=troubles, heard=heard)


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        pytest.param(worker(1.0), "answers", id="all is well"),
        pytest.param(worker(1.0, "store"), "does not answer", id="a worker says so"),
        pytest.param(worker(None), "not known", id="nobody has said anything yet"),
        pytest.param(worker(60.0), "not known", id="what was said long ago counts no more"),
    ],
)
def test_the_overview_says_of_the_store_what_workers_say(worker: Worker, said: str) -> None:
    health = Health(workers=(worker,), draining=False)
    html = overview(Known(at=30.0, health=health, taken={}, samples=SAMPLES), "1")
    assert f"<dt>Store</dt><dd>{said}</dd>" in html
    assert html.index("no_route</code>") < html.index("no_session</code>")
    assert "<dd>0.0 ms</dd>" not in html


def test_who_reads_everybody_is_told_where_reading_stopped() -> None:
    nobody = Question(frontend="default", subject="", page=1)
    said = "There may be others: reading everybody stops after 2"
    assert said in people(nobody, Found(sessions=(), cut=True), "token")
    assert said not in people(nobody, Found(sessions=(), cut=False), "token")


def test_words() -> None:
    assert [counted(0), counted(1), counted(1234)] == [
        "0 sessions",
        "1 session",
        "1\N{NARROW NO-BREAK SPACE}234 sessions",
    ]
    assert [milliseconds(0, 0.0), milliseconds(4, 0.01), milliseconds(1, 2.0)] == [
        "\N{EN DASH}",
        "2.5 ms",
        "2000 ms",
    ]


def operating(lines: str, monkeypatch: pytest.MonkeyPatch, password: str = PASSWORD) -> str:
    monkeypatch.setenv("ADMIN_UNDER_TEST", password)
    url = "http://127.0.0.1:9"
    more = f'[operate]\nadmin_password = {{ env = "ADMIN_UNDER_TEST" }}\n{lines}'
    return config_text(issuer=url, api=url, store="redis://127.0.0.1", more=more)


def test_a_short_password_is_a_fault_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigFaults) as refused:
        parse(operating("", monkeypatch, password="fifteen letters"))
    (fault,) = refused.value.faults
    assert fault.key == "operate.admin_password"
    assert "shorter than 16 characters" in fault.text()
    assert "fifteen letters" not in str(refused.value)
    assert PASSWORD not in repr(parse(operating("", monkeypatch)))


@pytest.mark.parametrize(
    ("listen", "codes"),
    [("0.0.0.0:9090", ["admin_without_tls"]), ("127.0.0.1:9090", []), ("[::1]:9090", [])],
)
def test_a_password_in_the_clear_off_loopback_is_a_risk(
    listen: str, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse(operating(f'listen = "{listen}"', monkeypatch))
    assert [risk.code for risk in risks(config)] == codes
