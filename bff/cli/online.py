"""`bff check --online`: the site of a configuration, asked without being served."""

import contextlib
import sys
from dataclasses import replace

from bff.app import build, close_site
from bff.clock import StoreClock
from bff.config.load import Config
from bff.journal.log import configure
from bff.operate.doctor import examine
from bff.operate.finding import Finding
from bff.operate.upstreams import examine_upstreams


async def ask_around(config: Config) -> list[Finding]:
    """What every front end's store, provider and upstreams behind TLS say.

    What the log tells meanwhile goes to standard error: the findings are for standard output.
    """
    with contextlib.redirect_stdout(sys.stderr):
        configure(human=True)
    site = build(config, {})
    findings: list[Finding] = []
    for each in site.fronts.values():
        front = each.front
        before = len(findings)
        store, clock = front.sessions.store, front.sessions.clock
        if isinstance(clock, StoreClock):
            servers = [their.server for their in front.sessions.dealings.values()]
            asked = examine(store, servers, clock, config.keyring)
            findings += [found async for found in asked]
        findings += [found async for found in examine_upstreams(front.frontend.routes)]
        if len(site.fronts) > 1:
            name = front.frontend.name
            findings[before:] = [
                replace(found, about=f"{name}: {found.about}") for found in findings[before:]
            ]
    await close_site(site, 0)
    return findings
