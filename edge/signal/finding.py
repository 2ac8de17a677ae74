"""Which transceiver has a call, when the call may have moved.

A call id names the transceiver process that made the call. Most calls stay there for life, so that one is asked first.
When it says that it does not have the call, or is gone, the call may live on elsewhere: the process that handed it over
says where it went (421 `call_moved`), and the ownership store knows the owner of every session that can be moved.
Signal itself remembers nothing.

Right behind the death of a transceiver nobody has its calls for some tenths of a second. Who asks for one just then
waits until the store names its successor.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar

import trio

from edge.control.client import ControlClient, TransceiverUnreachable
from edge.signal import errors
from edge.signal.fleet import FleetView
from stun.credentials import Route
from transceiver.calls import CallMoved, CallNotFound, NotOwner
from transceiver.handover.ownership import OwnershipStore, StoreUnavailable

__all__ = ["CallFinder", "CallIdOpener"]

Value = TypeVar("Value")

_MOST_ASKED = 4
"""Transceivers asked about one call: with each, it can have moved once more."""
_RETRY_SECONDS = 2.0
_SUCCESSOR_WITHIN = 1.0
"""Seconds to wait for whoever takes over from an owner that is silent; it takes half of that."""
_LOOK_AGAIN = 0.1


class CallIdOpener(Protocol):
    """Reads call ids; `transceiver.call_ids.CallIdKeys` is one."""

    def open(self, call_id: str) -> Route | None:
        """Return where a call was made; None when the id is not ours."""


class CallFinder:
    """Asks about calls where they are.

    Args:
        fleet: the transceivers.
        call_ids: reads call ids.
        ownership: knows who has a session that has moved; None where calls never move.
    """

    def __init__(self, fleet: FleetView, call_ids: CallIdOpener, ownership: OwnershipStore | None = None) -> None:
        self._fleet = fleet
        self._call_ids = call_ids
        self._ownership = ownership

    async def ask(self, call_id: str, command: Callable[[ControlClient], Awaitable[Value]]) -> Value:
        """Give a command to whichever transceiver has a call.

        Args:
            call_id: the call.
            command: what is asked; may be asked of several, until one has the call.

        Raises:
            RequestRefused: there is no such call, it is somebody else's, or only time can tell.
        """
        route = self._call_ids.open(call_id)
        if route is None:
            raise errors.call_id_not_found()
        asked: set[tuple[int, int]] = set()
        place: tuple[int, int] | None = (route.cluster, route.incarnation)
        is_uncertain = False
        while place is not None and place not in asked and len(asked) < _MOST_ASKED:
            asked.add(place)
            member = self._fleet.find(*place)
            place = None
            if member is not None:
                try:
                    return await command(member.client)
                except CallMoved as moved:
                    place = (moved.cluster, moved.incarnation)
                except CallNotFound:
                    pass
                except NotOwner as refusal:
                    raise errors.not_owner() from refusal
                except TransceiverUnreachable:
                    is_uncertain = True
            else:
                is_uncertain = is_uncertain or not self._fleet.is_complete
            if place is None:
                try:
                    place = await self._owner_of(route.session)
                except StoreUnavailable:
                    is_uncertain = True
            if is_uncertain and (place is None or place in asked):
                place = await self._successor(route.session, asked)
        if is_uncertain:
            # The id is genuine, and a transceiver that may have the call is silent: only time can tell.
            raise _silent()
        raise errors.call_id_not_found()

    async def _owner_of(self, session: int) -> tuple[int, int] | None:
        if self._ownership is None:
            return None
        record = await self._ownership.find(session)
        return None if record is None else (record.owner.cluster, record.owner.incarnation)

    async def _successor(self, session: int, asked: Collection[tuple[int, int]]) -> tuple[int, int] | None:
        """Wait for an owner that was not asked yet; None when there is none in time, or nobody to tell."""
        with trio.move_on_after(_SUCCESSOR_WITHIN):
            while True:
                try:
                    place = await self._owner_of(session)
                except StoreUnavailable:
                    return None
                if place is None or place not in asked:
                    return place
                await trio.sleep(_LOOK_AGAIN)
        return None


def _silent() -> errors.RequestRefused:
    message = "The transceiver of this call cannot be reached. Try again in a moment."
    return errors.try_later("transceiver_unreachable", message, _RETRY_SECONDS)
