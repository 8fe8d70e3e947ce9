"""The issuer's keys: fetched from its `jwks_uri` and from nowhere else (I-03), kept, found again.

After `metadata`, before `identity`. How often keys may be fetched does not depend on how many
tokens arrive with a key id that nobody knows.
"""

from enum import StrEnum
from typing import Final

from bff.clock import Clock
from bff.journal.log import Event, tell
from bff.problem import Refused
from bff.provider.cached import Cached, Copy
from bff.provider.call import ProviderHttp, Reply, answered_object
from bff.provider.jws import (
    JwsHeader,
    TokenFault,
    VerificationKey,
    fits,
    read_key,
    verified_payload,
)
from bff.provider.metadata import Discovery

FRUITLESS_SECONDS: Final = 30  # between two fetches that brought no key for a token

Keys = tuple[VerificationKey, ...]


class Sender(StrEnum):
    """Who brings a token: what strangers send must not keep new keys from the provider's own."""

    PROVIDER = "provider"  # in its answer to a call of ours
    ANYBODY = "anybody"


def read_keys(document: dict[str, object]) -> Keys | None:
    """The keys of a JWK Set that we can use; None if it is no JWK Set (RFC 7517 §5)."""
    listed = document.get("keys")
    if not isinstance(listed, list):
        return None
    return tuple(key for key in map(read_key, listed) if key is not None)


def payload_under(keys: Keys, token: str, header: JwsHeader) -> bytes | TokenFault:
    """The payload, if one of the keys that fit has signed it."""
    fitting = [key for key in keys if fits(key, header)]
    for key in fitting:
        payload = verified_payload(token, header, key)
        if payload is not None:
            return payload
    return TokenFault.SIGNATURE if fitting else TokenFault.NO_KEY


def worth_a_fetch(found: bytes | TokenFault, header: JwsHeader) -> bool:
    """Whether newer keys could change the finding (OpenID Connect Core §10.1.1).

    A token that names its key and does not bear its signature is forged, and stays so.
    """
    return found is TokenFault.NO_KEY or (found is TokenFault.SIGNATURE and header.kid is None)


class KeySet:
    """The keys of one issuer."""

    def __init__(
        self, discovery: Discovery, http: ProviderHttp, clock: Clock, copy: Copy[Keys]
    ) -> None:
        self._discovery = discovery
        self._http = http
        self._clock = clock
        self._cached = Cached(self._fetch, clock, copy)
        self._fruitless_at: dict[Sender, float] = {}

    async def payload(
        self, token: str, header: JwsHeader, *, sender: Sender = Sender.PROVIDER
    ) -> bytes | TokenFault:
        """The payload of a token that one of the issuer's keys has signed.

        Raises Refused(PROVIDER_UNAVAILABLE) if keys are needed and not to be had."""
        just_fetched = self._cached.held is None
        found = payload_under(await self._cached.value(), token, header)
        if not worth_a_fetch(found, header):
            return found
        if just_fetched:
            self._fruitless_at[sender] = self._clock.now()
            return found
        return await self._after_a_fetch(found, token, header, sender)

    async def close(self) -> None:
        """End a fetch that is under way."""
        await self._cached.close()

    async def _after_a_fetch(
        self, found: bytes | TokenFault, token: str, header: JwsHeader, sender: Sender
    ) -> bytes | TokenFault:
        if self._cached.fetching or not self._was_fruitless(sender):
            # Counted as fruitless until it proves otherwise: no second one begins meanwhile.
            self._fruitless_at[sender] = self._clock.now()
            try:
                found = payload_under(await self._cached.fetched(), token, header)
            except Refused:
                if sender is Sender.PROVIDER:
                    # It did not say that there is no such key. Others may have waited with us.
                    self._fruitless_at.pop(sender, None)
                raise
            if isinstance(found, bytes):
                self._fruitless_at.pop(sender, None)
        return found

    def _was_fruitless(self, sender: Sender) -> bool:
        at = self._fruitless_at.get(sender)
        return at is not None and 0 <= self._clock.now() - at < FRUITLESS_SECONDS

    async def _fetch(self) -> Keys | None:
        try:
            metadata = await self._discovery.metadata()
        except Refused:
            return None
        reply = await self._http.get(metadata.jwks_uri, kind="jwks_uri")
        document = answered_object(reply)
        keys = None if document is None else read_keys(document)
        if keys is None and isinstance(reply, Reply):
            tell(Event.PROVIDER_FAILED, endpoint="jwks_uri", code="unreadable", status=reply.status)
        return keys
