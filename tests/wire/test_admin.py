"""The admin page of a real `bff serve`, two workers and Redis; off where nobody switched it on."""

import html
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bff.operate.admin.credential import ATTEMPTS
from bff.operate.admin.people import PER_PAGE
from bff.simulator import Simulator
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica, replicas
from tests.unit.test_journal_metrics import samples

PASSWORD = "an admin password: of the tests"
os.environ.setdefault("BFF_TEST_ADMIN", PASSWORD)
ON = 'admin_password = { env = "BFF_TEST_ADMIN" }'


@dataclass(frozen=True)
class Operator:
    """Somebody with the password, in no browser."""

    replica: Replica

    @property
    def origin(self) -> str:
        return self.replica.served.operations

    def ask(self, method: str, path: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        auth = ("operator", password)
        return self.replica.served.http.request(method, self.origin + path, auth=auth, **more)

    def find(self, subject: str, page: int = 1) -> str:
        answer = self.ask("GET", "/admin/people", params={"subject": subject, "page": page})
        assert answer.status_code == 200, answer.text
        return answer.text

    def end(self, form: dict[str, str], **headers: str) -> httpx.Response:
        headers = {"origin": self.origin, "sec-fetch-site": "same-origin", **headers}
        return self.ask("POST", "/admin/people", data=form, headers=headers)


def forms(page: str) -> list[dict[str, str]]:
    """What each form that ends something would send; the first ends all."""
    return [
        {name: html.unescape(value) for name, value in re.findall(FIELD, form)}
        for form in re.findall(r'<form method="post".*?</form>', page, re.DOTALL)
    ]


FIELD = r'<input type="hidden" name="(\w+)" value="([^"]*)">'


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, redis_server: RedisProcess
) -> Iterator[Replica]:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis_server.url}
    folder = tmp_path_factory.mktemp("admin")
    with replicas(folder, 1, workers=2, more=ON, **parts) as (here,):
        yield here


@pytest.fixture
def here(served: Replica, provider: Control, redis: RedisProcess) -> Replica:
    """With an empty store and a provider as new."""
    served.served.ready()
    return served


@pytest.fixture
def operator(here: Replica) -> Operator:
    return Operator(here)


def test_without_the_password_nobody_gets_anything(operator: Operator) -> None:
    for path in ("/admin", "/admin/people", "/admin/style.css", "/admin/nothing"):
        answer = operator.replica.served.http.get(operator.origin + path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="bff", charset="UTF-8"'
        assert answer.headers["cache-control"] == "no-store"
    answer = operator.replica.served.http.post(operator.origin + "/admin/people")
    assert answer.status_code == 401
    page = operator.ask("GET", "/admin")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|https?://|style=", page.text)
    assert operator.ask("GET", "/admin/style.css").headers["content-type"].startswith("text/css")
    assert operator.ask("GET", "/admin/nothing").status_code == 404
    refused = operator.ask("PUT", "/admin/people")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


def test_the_page_is_not_on_the_public_address(operator: Operator) -> None:
    assert operator.replica.served.get("/admin", auth=("x", PASSWORD)).status_code == 404


def test_a_person_is_found_and_one_session_ended_and_the_auditor_hears_of_it(
    here: Replica, operator: Operator
) -> None:
    with here.browsing() as ada, here.browsing() as other, here.browsing() as grace:
        for page, who in ((ada, "ada"), (other, "ada"), (grace, "grace")):
            page.sign_in(who)
        assert "3 sessions" in operator.find("")
        assert "0 sessions" in operator.find("nobody")
        found = operator.find("ada")
        assert "2 sessions" in found
        assert "grace" not in found
        _, newest, _ = forms(found)
        answer = operator.end(newest)
        assert answer.status_code == 303
        ended = operator.ask("GET", answer.headers["location"]).text
        assert "1 session ended." in ended
        assert "<h2>1 session</h2>" in ended
        line = here.served.process.event("session_killed")
        assert (line["audit"], line["reason"], line["peer"]) == (
            True,
            "by_an_operator",
            "127.0.0.1",
        )
        assert line["request_id"]
        alive = [page.fetch("GET", "/api/tasks").status_code for page in (ada, other, grace)]
        assert alive == [200, 401, 200]
        again = operator.end(newest)
        assert again.headers["location"].endswith("ended=0")
        counted = samples(operator.replica.served.http.get(operator.origin + "/metrics").content)
        assert counted["bff_sessions_ended_total{cause=by_an_operator,frontend=default}"] == 1


def test_a_person_is_signed_out_everywhere(here: Replica, operator: Operator) -> None:
    with here.browsing() as ada, here.browsing() as other, here.browsing() as grace:
        for page, who in ((ada, "ada"), (other, "ada"), (grace, "grace")):
            page.sign_in(who)
        answer = operator.end(forms(operator.find("ada"))[0])
        assert answer.headers["location"].endswith("ended=2")
        alive = [page.fetch("GET", "/api/tasks").status_code for page in (ada, other, grace)]
        assert alive == [401, 401, 200]


def test_a_form_of_another_page_ends_nothing(here: Replica, operator: Operator) -> None:
    with here.browsing() as ada, here.browsing() as grace:
        ada.sign_in("ada")
        grace.sign_in("grace")
        form = forms(operator.find("ada"))[0]
        of_another = forms(operator.find("grace"))[0]
        refused = [
            operator.end(form, **{"sec-fetch-site": "cross-site"}),
            operator.end(form, origin="https://evil.example"),
            operator.end(form, origin="null"),
            operator.ask("POST", "/admin/people", data=form),  # as no browser sends it
            operator.end({**form, "token": ""}),
            operator.end({**form, "token": of_another["token"]}),
        ]
        assert [answer.status_code for answer in refused] == [403] * 6
        here.served.process.event("admin_refused", reason="form")
        assert operator.end({**form, "handle": "x" * 10_000}).status_code == 413
        alive = [page.fetch("GET", "/api/tasks").status_code for page in (ada, grace)]
        assert alive == [200, 200]


def test_subjects_are_text_and_never_markup(operator: Operator) -> None:
    found = operator.find('"><script>alert(1)</script>')
    assert "<script" not in found
    assert "&quot;&gt;&lt;script&gt;" in found


def test_many_sessions_come_in_pages(here: Replica, operator: Operator) -> None:
    with here.browsing() as ada:
        for _ in range(PER_PAGE + 1):
            ada.cookies.clear()
            ada.sign_in("ada")
        first, second = operator.find("ada"), operator.find("ada", page=2)
        assert f"<h2>{PER_PAGE + 1} sessions</h2>" in first
        assert len(forms(first)) == 1 + PER_PAGE
        assert len(forms(second)) == 1 + 1
        assert "Page 2 of 2" in second
        assert operator.find("ada", page=99).count('<li class="card">') == 1


def test_live_is_answered_while_a_search_waits_for_a_store_that_hangs(
    operator: Operator, redis: RedisProcess
) -> None:
    redis.hang()
    with ThreadPoolExecutor(1) as pool, httpx.Client(trust_env=False) as alone:
        auth = ("operator", PASSWORD)
        url = operator.origin + "/admin/people?subject=ada"
        searching = pool.submit(alone.get, url, auth=auth, timeout=30.0)
        lives = 0
        while not searching.done():
            lives += operator.replica.served.http.get(operator.origin + "/live").status_code == 200
        answer = searching.result()
    assert lives > 3  # a search that held it up would let through one or two
    assert answer.status_code == 503
    assert "The store does not answer" in answer.text
    redis.resume()
    assert "0 sessions" in operator.find("ada")


def test_who_guesses_has_to_wait(operator: Operator) -> None:
    # By its own address, so that no other test has to wait.
    with httpx.Client(
        trust_env=False, transport=httpx.HTTPTransport(local_address="127.0.0.9")
    ) as http:
        asked = [
            http.get(operator.origin + "/admin", auth=("operator", f"wrong {number}"))
            for number in range(ATTEMPTS + 1)
        ]
        assert [answer.status_code for answer in asked] == [401] * ATTEMPTS + [429]
        assert asked[-1].headers["retry-after"] == "2"
        told = operator.replica.served.process.event("admin_refused", reason="password")
        assert told["audit"] is True
        assert told["peer"] == "127.0.0.9"
    assert operator.ask("GET", "/admin").status_code == 200


def test_what_is_not_switched_on_is_not_there_until_a_reload_switches_it_on(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    parts = {"issuer": simulator.issuer, "store": redis.url}
    with replicas(tmp_path, 1, **parts) as (here,):
        operator = Operator(here)
        for path in ("/admin", "/admin/people", "/admin/style.css"):
            answer = operator.ask("GET", path)
            assert (answer.status_code, answer.json()) == (404, {"title": "There is nothing here"})
            assert "www-authenticate" not in answer.headers
        password, config = tmp_path / "password", tmp_path / "replica-0" / "bff.toml"
        line = f'[operate]\nadmin_password = {{ file = "{password}" }}'
        config.write_text(config.read_text().replace("[operate]", line))
        for each in (PASSWORD, "another admin password"):
            password.write_text(each)
            here.served.process.signal(signal.SIGHUP)
            here.served.process.event("reloaded")
            found = [operator.ask("GET", "/admin", word).status_code for word in (each, each[1:])]
            assert found == [200, 401]
