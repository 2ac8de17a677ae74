"""What a session can do to go on in another process; the base of `Session`, which has all the rest."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, cast

from dtls.certificate import Certificate
from dtls.options import DtlsOptions, Role
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.handover import moving
from transceiver.handover.ceilings import Indices
from transceiver.handover.session_snapshot import SessionSnapshot
from transceiver.options import SessionOptions
from wire.core import Closed, Entropy

if TYPE_CHECKING:
    from transceiver.session import Session

__all__ = ["MovableSession"]


class MovableSession:
    """Snapshots, and how far a session may count.

    Attributes:
        ceilings: how far we may count with the keys of the call; None for as far as we like.
        closed: as in `Session`.
        due: as in `Session`.
    """

    ceilings: Indices | None
    closed: Closed | None
    due: float
    _others_due: float

    @property
    def _session(self) -> "Session":
        return cast("Session", self)

    def snapshot(self, now: float) -> SessionSnapshot:
        """Return all that another process needs to go on with the client.

        Events must have been fetched. What `datagrams_to_send` still has is not in it.

        Raises:
            LocalProtocolError: the call is not established.
        """
        return moving.take_snapshot(self._session, now)

    @classmethod
    def restore(
        cls,
        snapshot: SessionSnapshot,
        *,
        is_exact: bool,
        certificate: Certificate,
        entropy: Entropy,
        now: float,
        unix_time: float,
        options: SessionOptions,
        dtls_options: DtlsOptions,
        speech: SpeechQueue | None = None,
        hears_at: int = 24000,
        age: float | None = None,
    ) -> Self:
        """Go on where a snapshot was taken; no `Established` follows, and no channel opens that was open.

        Args:
            snapshot: of an established call.
            is_exact: whether it is the last word of the old owner, which is frozen. If not, the old owner may have gone
                on, or still do: everything of ours begins above the margins that the snapshot has reserved, and nothing
                may be sent before `raise_ceilings`.
            certificate: ours; of use for new calls only.
            entropy: source of unpredictable bytes.
            now: monotonic seconds.
            unix_time: wall clock at `now`.
            options: bounds and times; the longest call is what the snapshot says.
            dtls_options: timers and MTU.
            speech: as for a new session.
            hears_at: as for a new session.
            age: seconds since the snapshot, if somebody knows better than the wall clocks of two processes.

        Raises:
            MalformedError: the snapshot makes no sense.
        """
        make = cast("Callable[..., Self]", cls)  # the constructor is that of `Session`
        session = make(
            ufrag=snapshot.ufrag,
            password=snapshot.password,
            remote=snapshot.remote,
            media=snapshot.media_description,
            data=snapshot.data_description,
            dtls_role=Role.SERVER,  # until the snapshot of DTLS is read
            certificate=certificate,
            entropy=entropy,
            now=now,
            unix_time=unix_time,
            options=options,
            dtls_options=dtls_options,
            speech=speech,
            hears_at=hears_at,
        )
        moving.resume(
            cast("Session", session), snapshot, is_exact=is_exact, age=age, now=now, dtls_options=dtls_options
        )
        return session

    def raise_ceilings(self, checkpoint: SessionSnapshot) -> None:
        """Count on as far as a checkpoint has reserved; what was held back leaves with the next tick.

        Args:
            checkpoint: a snapshot of this session that the store has confirmed; or the one that it is being asked to
                take while there are no ceilings (`handover.ceilings` says why).
        """
        reserved = checkpoint.indices.reserved()
        self._limit(reserved if self.ceilings is None else self.ceilings.raised_to(reserved))

    @property
    def is_near_ceiling(self) -> bool:
        """Whether a checkpoint is needed soon, lest something is dropped or held back."""
        return moving.is_near_ceiling(self._session)

    def release_ceilings(self) -> None:
        """Count as far as we like: nobody can have taken the call over."""
        self._limit(None)

    def _limit(self, ceilings: Indices | None) -> None:
        if self.closed is None:
            self.ceilings = ceilings
            moving.limit(self._session, ceilings)
            self.due = self._others_due = -math.inf

    def abandon(self, reason: str, detail: str = "") -> None:
        """End the call here without a word to the client, for another process has it; keys are forgotten."""
        if self.closed is None:
            moving.forget_keys(self._session)
            self._end(reason, detail)

    def _end(self, reason: str, detail: str) -> None:
        raise NotImplementedError
