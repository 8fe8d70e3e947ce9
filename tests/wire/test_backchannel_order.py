"""A back-channel logout and a callback of the same provider session, in every order (B-10)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from bff.simulator import Person
from tests.conftest import Sites
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.logout_token import ended, minted, send, sid_of
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site
from tests.parts.steps import holding

pytestmark = [pytest.mark.usefixtures("provider"), pytest.mark.rule("B-10")]


@dataclass(frozen=True)
class Meeting:
    """One process that a person comes back to, another that the provider tells."""

    browser: Browser
    told: Site
    provider: Control
    back: str

    def come_back(self) -> httpx.Response:
        return self.browser.callback(self.back)

    def logout_token(self) -> str:
        """Of the provider session that is being signed in to: its code has been spent."""
        return minted(self.provider, sub="ada", sid=sid_of(self.provider))


@pytest.fixture
def meeting(sites: Sites, provider: Control, redis: RedisProcess) -> Iterator[Meeting]:
    with browsing(sites(store="redis")) as browser, Person() as person:
        told = sites(store="redis", more="# the other process")
        back = person.visit(browser.to_provider())
        yield Meeting(browser, told, provider, back)


def never_began(meeting: Meeting, redis: RedisProcess, answer: httpx.Response) -> bool:
    """Whether the callback was refused as it must be, leaving nothing behind."""
    if answer.status_code == 200:
        return False
    assert (answer.status_code, reason(answer)) == (400, "provider_error")
    assert meeting.browser.session_cookie is None
    assert [entry["outcome"] for entry in meeting.provider.entries("revoke", 1)] == ["ok"]
    meeting.browser.site.settle()
    with redis.client() as keys:
        assert [key for key in keys.scan_iter() if keys.type(key) == b"zset"] == []
    return True


@pytest.mark.parametrize(
    ("operation", "number", "stage", "begins"),
    [
        ("index_add", 1, "before", False),
        ("index_add", 1, "after", False),
        ("index_add", 2, "before", False),
        ("index_add", 2, "after", False),
        ("noted", 1, "before", False),
        ("noted", 1, "after", False),
        ("create", 2, "before", False),  # the first is the claim of the state
        ("create", 2, "after", True),
    ],
)
def test_a_logout_while_the_callback_is_held_at_a_step(
    meeting: Meeting, redis: RedisProcess, operation: str, number: int, stage: str, begins: bool
) -> None:
    with (
        holding(meeting.browser.site, operation, number, stage) as held,
        ThreadPoolExecutor(1) as threads,
    ):
        waiting = threads.submit(meeting.come_back)
        held.wait()
        assert send(meeting.told, meeting.logout_token()).status_code == 200
        held.release()
        answer = waiting.result()
    assert never_began(meeting, redis, answer) == (not begins)
    assert not begins or ended(meeting.browser)


@pytest.mark.parametrize(
    ("operation", "stage", "begins"),
    [
        ("note", "before", True),
        ("note", "after", False),
        ("index_members", "before", False),
        ("index_members", "after", False),
        ("create", "before", False),  # the claim of the token
        ("create", "after", False),
    ],
)
def test_a_callback_while_the_logout_is_held_at_a_step(
    meeting: Meeting, redis: RedisProcess, operation: str, stage: str, begins: bool
) -> None:
    # The provider has signed somebody in and out before we have heard of either.
    with (
        holding(meeting.browser.site, "index_add", 1, "before") as first,
        holding(meeting.told, operation, 1, stage) as held,
        ThreadPoolExecutor(2) as threads,
    ):
        coming = threads.submit(meeting.come_back)
        first.wait()
        leaving = threads.submit(send, meeting.told, meeting.logout_token())
        held.wait()
        first.release()
        answer = coming.result()
        held.release()
        assert leaving.result().status_code == 200
    assert never_began(meeting, redis, answer) == (not begins)
    assert not begins or ended(meeting.browser)


def test_a_callback_that_is_held_when_only_the_person_is_named(
    meeting: Meeting, redis: RedisProcess
) -> None:
    with (
        holding(meeting.browser.site, "create", 2, "before") as held,
        ThreadPoolExecutor(1) as threads,
    ):
        waiting = threads.submit(meeting.come_back)
        held.wait()
        assert send(meeting.told, minted(meeting.provider, sub="ada")).status_code == 200
        held.release()
        assert never_began(meeting, redis, waiting.result())


def test_a_logout_while_the_providers_answer_to_the_code_is_on_its_way(
    meeting: Meeting, redis: RedisProcess
) -> None:
    meeting.provider.fault("token", at="after", hold=True, count=1)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(meeting.come_back)
        meeting.provider.held("token")
        assert send(meeting.told, meeting.logout_token()).status_code == 200
        meeting.provider.release("token")
        assert never_began(meeting, redis, waiting.result())
