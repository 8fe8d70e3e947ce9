"""Another configuration while the provider is down: what was known of it is known still (P-11)."""

import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bff.config.load import Config, parse
from bff.config.provider_section import Provider
from bff.simulator import Simulator
from tests.conftest import Sites
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.certificates import authority
from tests.parts.control import Control
from tests.parts.frontends import frontend_text, several_text
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving
from tests.wire.serve_process import served

pytestmark = pytest.mark.rule("P-11")

DEAD = "http://127.0.0.1:9"


def troubles(site: Site) -> list[str]:
    return site.run(site.application.troubles())


def swapped(site: Site, config: Config) -> None:
    async def swap() -> None:
        site.application.swap(config)

    site.run(swap())


def with_provider(config: Config, change: Callable[[Provider], Provider]) -> Config:
    """The same, with another only provider of its only front end."""
    (frontend,) = config.frontends
    providers = {name: change(each) for name, each in frontend.providers.items()}
    return replace(config, frontends=(replace(frontend, providers=providers),))


@pytest.fixture
def page(sites: Sites, provider: Control, redis: RedisProcess) -> Iterator[Browser]:
    """Somebody signed in; since then the provider tells nothing of itself."""
    site = sites(store="redis")
    first = site.application.config
    with browsing(site) as page:
        page.sign_in()
        assert page.fetch("GET", "/api/tasks").status_code == 200  # the API has the keys as well
        for endpoint in ("discovery", "jwks"):
            provider.fault(endpoint, status=503)
        yield page
    swapped(site, first)


def test_who_is_signed_in_goes_on_and_the_process_is_ready(page: Browser) -> None:
    for _ in range(2):
        swapped(page.site, page.site.application.config)
        assert troubles(page.site) == []
        assert page.fetch("GET", "/api/tasks").status_code == 200


def test_people_sign_in_by_the_metadata_and_the_keys_at_hand(
    page: Browser, provider: Control
) -> None:
    swapped(page.site, page.site.application.config)
    asked = {each: provider.count(each) for each in ("discovery", "jwks")}
    page.sign_in("grace")
    for endpoint, count in asked.items():  # whoever reloads may want what is new there
        assert provider.entries(endpoint, count + 1)[-1]["status"] == 503


def test_another_client_secret_forgets_nothing(page: Browser) -> None:
    """It is put in place when the provider refuses us, which is when it has troubles."""
    another = {"client_secret": SecretStr("another")}
    config = page.site.application.config
    swapped(page.site, with_provider(config, lambda each: each.model_copy(update=another)))
    assert troubles(page.site) == []


def test_another_issuer_is_not_known_by_what_the_former_one_said(page: Browser) -> None:
    config = page.site.application.config
    moved = {"issuer": DEAD}
    swapped(page.site, with_provider(config, lambda each: each.model_copy(update=moved)))
    assert troubles(page.site) == ["provider"]
    answer = page.navigate("/bff/login", site="same-origin")
    assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")


@pytest.mark.rule("P-03")
def test_what_other_authorities_vouched_for_is_not_believed(
    page: Browser, provider: Control, tmp_path: Path
) -> None:
    """The same file by its name, and other certificates in it."""
    former, renewed = (authority(tmp_path / name, "127.0.0.1").ca for name in ("a", "b"))
    config = page.site.application.config
    config = with_provider(config, lambda each: each.model_copy(update={"ca_file": former}))
    provider.do("clear", {"endpoint": "discovery"})
    swapped(page.site, config)
    assert troubles(page.site) == []
    provider.fault("discovery", status=503)
    swapped(page.site, config)
    assert troubles(page.site) == []
    former.write_bytes(renewed.read_bytes())
    swapped(page.site, config)
    assert troubles(page.site) == ["provider"]


def test_a_provider_without_metadata_is_known_by_the_file(page: Browser) -> None:
    written = {"issuer": DEAD, "identity": "userinfo"}
    config = page.site.application.config
    swapped(page.site, with_provider(config, lambda each: each.model_copy(update=written)))
    assert troubles(page.site) == []


def test_a_reload_that_fails_changes_nothing(page: Browser, tmp_path: Path) -> None:
    """The files that it names may have gone since the supervisor read them."""
    config, crowd = page.site.application.config, page.site.application.site.crowd
    absent = {"ca_file": tmp_path / "absent.pem"}
    broken = with_provider(config, lambda each: each.model_copy(update=absent))
    limits = config.limits.model_copy(update={"streams": 1})
    with pytest.raises(FileNotFoundError):
        swapped(page.site, replace(broken, limits=limits))
    assert crowd.streams._most == config.limits.streams
    assert troubles(page.site) == []
    swapped(page.site, config)
    assert troubles(page.site) == []


def test_workers_are_ready_again_after_a_signal_in_an_outage_of_everything(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess
) -> None:
    parts: dict[str, Any] = {"issuer": simulator.issuer, "store": redis.url}
    with served(tmp_path, workers=2, **parts) as process:
        process.ready()
        provider.fault("discovery", status=503)
        redis.stop()
        process.until(lambda health: health["troubles"] == ["store"])
        process.process.signal(signal.SIGHUP)
        for _ in range(3):  # the supervisor, and each of its workers
            process.process.event("reloaded")
        redis.start()
        assert process.until(lambda health: bool(health["ready"]))["troubles"] == []


# --- several front ends


@pytest.fixture
def silent() -> Iterator[str]:
    """An issuer that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def front(name: str, *issuers: str) -> str:
    """A front end with a provider at each of these, of which it waits long for an answer."""
    tables = [
        f"""
[frontends.{name}.providers.at{place}]
issuer = "{issuer}"
client_id = "spa"
client_secret = {{ env = "BFF_TEST_SECRET" }}
total_timeout = "60s"
"""
        for place, issuer in enumerate(issuers)
    ]
    origin = f"https://{name}.example.com"
    return frontend_text(name, origin=origin, api="http://127.0.0.1:1", more="".join(tables))


def parsed(*fronts: str) -> Config:
    text = several_text(*fronts, issuer=DEAD)
    head, _, rest = text.partition("[provider]")
    return parse(
        head + rest[rest.index("[session]") :] + '[operate]\nstop_deadline = "122s"', dev=True
    )


@pytest.mark.parametrize("together", [True, False], ids=["of one front end", "of another"])
def test_one_that_has_never_answered_takes_readiness_from_nobody(
    simulator: Simulator, provider: Control, silent: str, together: bool
) -> None:
    if together:
        config = parsed(front("shop", silent, simulator.issuer))
    else:
        config = parsed(front("shop", silent), front("desk", simulator.issuer))
    with serving(config) as site:
        for _ in range(2):
            assert troubles(site) == []  # nor is it waited for
        provider.fault("discovery", status=503)
        swapped(site, config)
        assert troubles(site) == []


def test_a_process_that_has_never_known_any_is_not_ready() -> None:
    with serving(parsed(front("shop", DEAD), front("desk", "http://127.0.0.1:10"))) as site:
        assert troubles(site) == ["provider"]
