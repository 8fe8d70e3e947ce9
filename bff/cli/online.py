"""`bff check --online`: the site of a configuration, asked without being served."""

from bff.app import build, close_site
from bff.clock import StoreClock
from bff.config.load import Config
from bff.operate.doctor import Finding, examine


async def ask_around(config: Config) -> list[Finding]:
    """What every front end's store and provider say."""
    site = build(config)
    findings: list[Finding] = []
    for each in site.fronts.values():
        sessions = each.front.sessions
        clock = sessions.clock
        if isinstance(clock, StoreClock):
            findings += [found async for found in examine(sessions.store, each.front.server, clock)]
    await close_site(site, 0)
    return findings
