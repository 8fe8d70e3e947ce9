"""What goes up with a request: the session's access token, or another, and where that is from."""

from typing import Protocol

from bff.provider.dpop import DpopKey
from bff.session.opened import Found


class Shown(Protocol):
    """A token as the relay needs it: a session that was found is one."""

    @property
    def bearer(self) -> bytes:
        """The token, as octets."""
        ...

    @property
    def proof_key(self) -> DpopKey | None:
        """That it is bound to, if it is."""
        ...

    @property
    def expires_at(self) -> float | None:
        """Its end in store time; None: nobody knows."""
        ...


class Source(Protocol):
    """Where a route gets its tokens, if not from the session: one of our own, or a person's."""

    @property
    def personal(self) -> bool:
        """Whether it is a person's token, who can get a better one."""
        ...

    def at_hand(self, found: Found | None, /) -> Shown | None:
        """The token, if it is here and good to use; else `get` is the way. Raises Refused."""
        ...

    async def get(self, found: Found | None, /) -> Shown | None:
        """The token; None: none goes along. Raises Refused."""
        ...

    async def after_refusal(self, found: Found | None, refused: bytes, /) -> Shown | None:
        """Another one than what an upstream refused, if there is one. Raises Refused."""
        ...
