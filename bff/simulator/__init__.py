"""A strict OpenID provider and a small API of our own, for development and tests, on loopback.

No part of the product: it imports nothing from the rest of `bff`, and of the rest only the `dev`
command knows it. It signs anybody in without a password and shows every secret at
`/control/secrets`, therefore it refuses to listen anywhere but on loopback.

`running` (in a thread), `start` (in the current event loop) and `python -m bff.simulator` serve
both; `provider_app` and `api_app` are the bare ASGI applications. `Person` plays the person in
front of the browser.
"""

from bff.simulator.accounts import read_accounts
from bff.simulator.api import api_app
from bff.simulator.exchanges import Exchange
from bff.simulator.person import Person
from bff.simulator.provider import provider_app
from bff.simulator.running import Plan, Simulator, bind, running, start
from bff.simulator.settings import ACCOUNTS, SCOPES, Account, Client, Settings, SettingsError
from bff.simulator.switches import Switches

__all__ = [
    "ACCOUNTS",
    "SCOPES",
    "Account",
    "Client",
    "Exchange",
    "Person",
    "Plan",
    "Settings",
    "SettingsError",
    "Simulator",
    "Switches",
    "api_app",
    "bind",
    "provider_app",
    "read_accounts",
    "running",
    "start",
]
