"""One provider's whole state, handed to every endpoint: settings, keys, grants, faults, ledger.

Everything is in memory and belongs to one event loop. A reset makes it as new, but for the keys,
which the other side may have cached, and for the secrets, which tests search for at the very end.
"""

from datetime import UTC, datetime

from bff.simulator.authorization_request import AuthorizationRequest
from bff.simulator.dpop import Nonces
from bff.simulator.exchanges import Exchanges
from bff.simulator.faults import Faults
from bff.simulator.grants import Grants
from bff.simulator.keys import Keys
from bff.simulator.ledger import Ledger, Secrets
from bff.simulator.logout_request import LogoutRequest
from bff.simulator.once import Once
from bff.simulator.settings import Settings
from bff.simulator.visits import Tickets, Visits


class Clock:
    """The wall clock, which a test may put forward instead of sleeping."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return datetime.now(UTC).timestamp() + self._ahead

    def advance(self, seconds: float) -> None:
        """From now on it is that much later, or earlier."""
        self._ahead += seconds


class Realm:
    """The state. Its attributes are read by all endpoints and replaced by `reset` only."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = Keys()
        self.faults = Faults()
        self.ledger = Ledger()
        self.exchanges = Exchanges()
        self.secrets = Secrets()
        for client in settings.clients:
            self.secrets.add("client_secrets", client.client_secret)
        self.nonces = Nonces()  # of the provider, and of the API
        self.api_nonces = Nonces()
        self.reset()

    def reset(self) -> None:
        """As after the start; requests that are held go on."""
        self.switches = self.settings.switches
        self.clock = Clock()
        self.grants = Grants()
        self.visits = Visits()
        self.choosing: Tickets[AuthorizationRequest] = Tickets()
        self.consenting: Tickets[tuple[AuthorizationRequest, str]] = Tickets()  # and who is asked
        self.once = Once()
        self.pushed: Tickets[tuple[AuthorizationRequest, float]] = Tickets()  # and until when
        self.leaving: Tickets[LogoutRequest] = Tickets()
        self.ledger.clear()
        self.exchanges.clear()
        self.faults.clear()
        self.faults.release()
