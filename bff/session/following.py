"""Whoever lives as long as a session does is told how it fares, and when it ends, anywhere.

A change message says where to look at once; messages get lost and a record may just expire, so
every session that is followed is looked at now and then as well (W-05, W-07).
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from bff.clock import Clock
from bff.journal.log import crashed
from bff.keys import Keyring
from bff.problem import Reason
from bff.session.background import Background
from bff.session.opened import why_ended
from bff.session.store import Ended, Live, Store, StoreUnavailable

LOOK_EVERY: Final = 10.0  # seconds
AT_ONCE: Final = 64  # questions in one turn of the loop: requests come between

Told = Callable[[Reason], None]
Seen = Callable[[Live], None]
T = TypeVar("T")


class Follower:
    """One who follows a session, until it ends or `leave` is called."""

    __slots__ = ("_following", "deadline", "key", "kid", "seen", "told")

    def __init__(
        self,
        following: "Following",
        key: str,
        deadline: float,
        told: Told,
        seen: Seen | None,
        kid: str | None,
    ) -> None:
        self._following = following
        self.key = key
        self.kid = kid  # of the cookie that it came with; None: it does not outlive its keyring
        self.deadline = deadline  # store time; the session cannot live longer
        self.told = told
        self.seen = seen

    def look(self) -> None:
        """Something is due: do not wait for the next look."""
        self._following.look(self.key)

    def leave(self) -> None:
        """Do not tell any more, and let go of who was told."""
        self._following.drop(self)
        self.told, self.seen = _nobody, None


class Following:
    """The sessions of one front end that somebody in this process follows."""

    def __init__(self, store: Store, clock: Clock, background: Background) -> None:
        self._store = store
        self._clock = clock
        self._background = background
        self._followers: dict[str, set[Follower]] = {}
        self._due: set[str] = set()  # to be looked at in the next turn of the loop
        self._keyring: Keyring | None = None  # the one in use by now, if it is not the first

    def follow(
        self, key: str, live: Live, told: Told, seen: Seen | None, kid: str | None
    ) -> Follower:
        """Let `told` be called, once, with the reason for which the session ended.

        Until then `seen` hears what each look has found, changed or not. Neither should raise.
        """
        follower = Follower(self, key, live.absolute_at, told, seen, kid)
        self._followers.setdefault(key, set()).add(follower)
        # It may have ended since it was found: whoever announced that knew of no follower.
        self.look(key)
        return follower

    def drop(self, follower: Follower) -> None:
        """Forget one who follows."""
        there = self._followers.get(follower.key)
        if there is not None:
            there.discard(follower)
            if not there:
                del self._followers[follower.key]

    def rekey(self, keyring: Keyring) -> None:
        """Another keyring is in use: whoever came with a key that is not in it ends (T-04)."""
        self._keyring = keyring
        for key in list(self._followers):
            self._end_those_without_key(key)

    def changed(self, key: str | None) -> None:
        """Look at a session whose record is another one by now; None: any may be."""
        if key is None:
            self._background.run(self._look_at_all())
        elif key in self._followers:
            self.look(key)

    def look(self, key: str) -> None:
        """Look at a session soon: once for all who want it before the question has left."""
        if key not in self._due:
            self._due.add(key)
            self._background.run(self._look(key))

    async def run(self) -> None:
        """For ever: look at every session that is followed, now and then."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self._look_at_all()

    async def _look_at_all(self) -> None:
        keys = list(self._followers)
        for place in range(0, len(keys), AT_ONCE):
            await asyncio.gather(*(self._look(key) for key in keys[place : place + AT_ONCE]))

    async def _look(self, key: str) -> None:
        """Ask the store. While it cannot say, only what is known already ends a session."""
        self._due.discard(key)
        self._end_those_without_key(key)
        try:
            there = await self._store.peek(key)
        except StoreUnavailable:
            self._end_those_over(key)
            return
        if there is None:
            self._end(key, Reason.SESSION_EXPIRED)
        elif isinstance(there, Ended):
            self._end(key, why_ended(there).reason)
        else:
            self._tell(key, there)

    def _tell(self, key: str, live: Live) -> None:
        for follower in tuple(self._followers.get(key, ())):
            if follower.seen is not None:
                _heard(follower.seen, live)

    def _end_those_over(self, key: str) -> None:
        if any(each.deadline <= self._clock.now() for each in self._followers.get(key, ())):
            self._end(key, Reason.SESSION_EXPIRED)

    def _end_those_without_key(self, key: str) -> None:
        if self._keyring is None:
            return
        for follower in tuple(self._followers.get(key, ())):
            reason = None if follower.kid is None else _refuses(self._keyring, follower.kid)
            if reason is not None:
                self.drop(follower)
                _heard(follower.told, reason)

    def _end(self, key: str, reason: Reason) -> None:
        for follower in self._followers.pop(key, ()):
            _heard(follower.told, reason)


def _nobody(_: Reason) -> None:
    """Has left."""


def _heard(told: Callable[[T], None], news: T) -> None:
    """Tell one follower; what breaks there hides the news from nobody else (E-05)."""
    try:
        told(news)
    except Exception as error:  # noqa: BLE001 - told, and the others hear it all the same
        crashed(error)


def _refuses(keyring: Keyring, kid: str) -> Reason | None:
    """Why a cookie under that key would be refused by now, as `cookies` reads it."""
    if kid in keyring.retired:
        return Reason.SESSION_ENDED
    return Reason.KEY_UNKNOWN if keyring.find(kid) is None else None
