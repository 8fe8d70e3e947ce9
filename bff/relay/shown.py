"""What goes up with a request: the person's access token, or one of our own."""

from typing import Protocol

from bff.provider.dpop import DpopKey


class Shown(Protocol):
    """A token as the relay needs it: a session that was found has one, and so has `OwnToken`."""

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
