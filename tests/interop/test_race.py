"""The race against a provider that others wrote, and that revokes the whole grant on a reuse."""

from pathlib import Path
from typing import Any

import pytest

from tests.interop.oidc_provider import Visitor, application, oidc_provider
from tests.parts.race import salvo, wait_for_the_end
from tests.parts.raw import villain
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import ORIGIN, replicas
from tests.parts.volley import cookie_of

ROUNDS = 10
SHORT = 2  # seconds


@pytest.mark.rule("R-04")
def test_fifty_requests_to_each_of_two_processes_make_one_token_request(
    tmp_path: Path, redis: RedisProcess
) -> None:
    registered = application("spa", "client_secret_basic", ORIGIN)
    with oidc_provider([registered], access_token_seconds=SHORT) as provider, villain() as upstream:
        where: dict[str, Any] = {
            "issuer": provider.issuer,
            "api": upstream.url,
            "store": redis.url,
            # It gives a refresh token only for offline_access together with prompt=consent.
            "provider": 'parameters = { prompt = "consent" }',
        }
        with replicas(tmp_path, **where) as both:
            cookies = []
            for _ in range(ROUNDS):
                with both[0].browsing() as browser, Visitor() as visitor:
                    landed = browser.callback(visitor.visit(browser.to_provider()))
                    assert landed.status_code == 200
                    cookies.append(cookie_of(browser))
            provider.let_access_tokens_live(300)
            wait_for_the_end(redis, SHORT)
            before = provider.refreshes()
            for done, cookie in enumerate(cookies, 1):
                upstream.script()
                assert {hit.status for hit in salvo(both, cookie, "/api/x")} == {200}
                sent = {received.all(b"authorization")[0] for received in upstream.received}
                assert (len(sent), provider.refreshes()) == (1, before + done)
                token = sent.pop().decode().removeprefix("Bearer ")
                assert provider.introspected(token)["active"]
            assert provider.seen()["revoked"] == 0
