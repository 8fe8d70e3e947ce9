"""What is queued to be revoked, as a test looks at it."""

import threading

from bff.session.revocations import Revocations
from tests.parts.race import patiently
from tests.parts.site import Site


def revocations(site: Site) -> Revocations:
    (only,) = site.application.site.fronts["default"].front.sessions.dealings.values()
    return only.revocations


def queued(site: Site) -> int:
    """How many wait in the store, whoever put them there."""
    return site.run(revocations(site).length())


def wait_until_queued(site: Site, count: int = 1) -> None:
    patience = patiently()
    while queued(site) != count and patience.left():
        threading.Event().wait(0.05)


def wait_until_revoked(site: Site) -> None:
    """Return when nothing is under way and nothing is queued any more."""
    site.settle(30)
    wait_until_queued(site, 0)
