"""Calls that arrive from another process: restored, entered, and held until they are this worker's alone.

A call is held by not sending anything: its timers wait. Packets of one that is taken over are taken meanwhile; those
of one that is offered wait, behind those that its last owner has kept.

Goal: whatever a snapshot says, no other call suffers. One that cannot be restored is refused, with the reason.
Attacker: whoever can write to the store, but does not know the snapshot key (`sealing`).
"""

from collections.abc import Callable

import trio

from relay.hop.header import parse_header, with_generation
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.calls import CallWishes, ModelNotAllowed
from transceiver.flows import Flow
from transceiver.handover.call_snapshot import CallSnapshot, FlowSnapshot
from transceiver.handover.custody import Custody
from transceiver.handover.peers import HandOverRefused
from transceiver.handover.session_snapshot import SessionSnapshot
from transceiver.intake import Intake
from transceiver.options import SessionOptions
from transceiver.registry import Call, CallRegistry
from transceiver.session import Session
from wire.buffer import Reader
from wire.core import Entropy, Path
from wire.errors import ProtocolError

__all__ = ["Arrivals", "Unseal"]

Unseal = Callable[[bytes, int, int], bytes | None]
"""Opens a sealed `CallSnapshot` by which a session is to be ours at a generation; None when anything is wrong."""


class Arrivals:
    """Makes calls of snapshots.

    Args:
        calls: the worker's.
        intake: makes calls of offers; what they have in common is its.
        unseal: opens snapshots.
        choose_backend: what answers a call, by its wishes; raises `ModelNotAllowed`.
        add_leg: gives a call its backend: call, backend, speech, now, and what the old leg remembered.
        session_options: bounds and times of calls.
        entropy: source of unpredictable bytes.
        unix_time: wall clock.
    """

    def __init__(
        self,
        *,
        calls: CallRegistry,
        intake: Intake,
        unseal: Unseal,
        choose_backend: Callable[[CallWishes], BackendSettings],
        add_leg: Callable[[Call, BackendSettings, SpeechQueue, float, bytes], None],
        session_options: Callable[[CallWishes], SessionOptions],
        entropy: Entropy,
        unix_time: Callable[[], float],
    ) -> None:
        self._calls = calls
        self._intake = intake
        self._unseal = unseal
        self._choose_backend = choose_backend
        self._add_leg = add_leg
        self._session_options = session_options
        self._entropy = entropy
        self._unix_time = unix_time

    def restore(self, session_id: int, sealed: bytes, *, generation: int, age: float | None) -> Call:
        """Restore a call, and hold it.

        Args:
            session_id: number of the session.
            sealed: what its last owner has sealed, at the generation before.
            generation: of the ownership that is ours, or is to be.
            age: seconds since the snapshot was made, after which all indices have to leap; None for one that is exact.

        Raises:
            HandOverRefused: it cannot be restored.
        """
        if self._calls.of_session(session_id) is not None:
            raise HandOverRefused("the call is here already")
        data = self._unseal(sealed, session_id, generation)
        if data is None:
            raise HandOverRefused("the snapshot does not open: another snapshot key, or not what was sealed")
        now = trio.current_time()
        try:
            snapshot = CallSnapshot.from_bytes(data)
            reader = Reader(snapshot.session)
            state = SessionSnapshot.parse(reader)
            reader.finish("session snapshot")
            backend = self._choose_backend(snapshot.wishes)
            speech = None if backend.kind is BackendKind.ECHO else SpeechQueue(rate=backend.output_rate)
            session = Session.restore(
                state,
                is_exact=age is None,
                certificate=self._intake.certificate,
                entropy=self._entropy,
                now=now,
                unix_time=self._unix_time(),
                options=self._session_options(snapshot.wishes),
                dtls_options=self._intake.dtls_options,
                speech=speech,
                hears_at=backend.input_rate,
                age=age,
            )
        except ModelNotAllowed as error:
            raise HandOverRefused(f"no backend answers for the model {error.model!r} here") from error
        except ProtocolError as error:
            raise HandOverRefused(f"the snapshot cannot be read: {error}") from error
        call = self._calls.add(
            call_id=snapshot.call_id,
            owner=snapshot.owner,
            session_id=session_id,
            session=session,
            wishes=snapshot.wishes,
            generation=generation,
        )
        call.is_held = True
        call.custody = Custody(generation, now, is_known=True)
        for flow in snapshot.flows:
            self._calls.add_flow(call, _flow_of(flow, generation, now))
        if age is None:  # what its last owner has kept comes first
            self._calls.suspend(call)
        if speech is not None:
            self._add_leg(call, backend, speech, now, snapshot.conversation)
        return call


def _flow_of(flow: FlowSnapshot, generation: int, now: float) -> Flow:
    up_header = with_generation(flow.up_header, generation)
    header = parse_header(up_header)
    assert header is not None  # noqa: S101 - `CallSnapshot` has parsed it
    restored = Flow(Path(header.client, header.ingress), up_header, header.tag, flow.relay, now)
    restored.mark_validated()
    return restored
