"""What the sessions of one front end have to do with one of its providers.

Which of them is a session's own, its issuer says: no other is ever shown its tokens (C-05).
"""

from dataclasses import dataclass, field

from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.keys import Keyring
from bff.provider.server import AuthorizationServer
from bff.session.background import Background
from bff.session.history import SharedHistory
from bff.session.holding import Holding
from bff.session.leased import Leases
from bff.session.opened import Opened
from bff.session.refresh import Refresher
from bff.session.revocations import Revocations
from bff.session.route_spend import RouteSpender
from bff.session.spend import Spender
from bff.session.store import Store
from bff.session.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealings:
    """With one provider."""

    server: AuthorizationServer
    leases: Leases = field(repr=False)
    route_spender: RouteSpender = field(repr=False)
    refresher: Refresher = field(repr=False)
    revocations: Revocations = field(repr=False)
    history: SharedHistory = field(repr=False)

    def run(self, background: Background) -> None:
        """Start what goes on for ever."""
        background.keep(self.history.run())
        background.keep(self.revocations.run())


def dealings(
    server: AuthorizationServer,
    *,
    frontend: FrontEnd,
    keyring: Keyring,
    store: Store,
    clock: Clock,
    background: Background,
    opened: Opened,
    watch: Watch,
) -> Dealings:
    """Those with that provider."""
    history = SharedHistory(frontend=frontend, keyring=keyring, store=store, server=server)
    revocations = Revocations(
        frontend=frontend,
        keyring=keyring,
        store=store,
        clock=clock,
        server=server,
        background=background,
    )
    holding = Holding(
        frontend=frontend,
        store=store,
        opened=opened,
        server=server,
        clock=clock,
        revocations=revocations,
        history=history,
    )
    leases = Leases(
        frontend=frontend,
        store=store,
        opened=opened,
        watch=watch,
        server=server,
        clock=clock,
        background=background,
    )
    spender = Spender(
        frontend=frontend, server=server, clock=clock, history=history, holding=holding
    )
    refresher = Refresher(
        frontend=frontend,
        opened=opened,
        clock=clock,
        background=background,
        leases=leases,
        spender=spender,
    )
    route_spender = RouteSpender(frontend=frontend, server=server, clock=clock, holding=holding)
    return Dealings(
        server=server,
        leases=leases,
        route_spender=route_spender,
        refresher=refresher,
        revocations=revocations,
        history=history,
    )
