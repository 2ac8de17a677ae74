"""The server's ICE agent: answers checks, validates the paths they come from, follows the client where it goes.

A lite agent has one address that everybody can reach, so it never searches for a path. The life of one:

1. A check arrives. It is verified, answered, and its path entered unvalidated (`PathAppeared`).
2. A Binding Request of our own goes back to the same address, as soon as the client's password is known.
3. The client answers it: the path is validated (`PathValidated`), and the first one is selected (`PathSelected`).
4. The client nominates another, or its media arrives over another: that one is validated too, then selected.
5. Nothing authentic arrives for 30 seconds: the path is forgotten (`PathExpired`); after the last, `Closed`.

An ICE restart begins that anew beside what works: both ends get other credentials, checks with the former ones count
until a path has been validated with the new, and media stays on its path until the client chooses another.

The rules for paths, and the attackers they are for, are in `stun.paths`.

Source: RFC 8445 §7.3, §8.2, §9; RFC 8489 §6.3, §9.1.
"""

from collections.abc import Iterable

import attrs

from stun.attributes import AttributeType
from stun.binding import Refusal, check_request, error_response, receive_message, success_response
from stun.events import DropReason, PathAppeared
from stun.message import Message, MessageClass
from stun.paths import PathOptions, PathTable, TrackedPath
from stun.proofs import ProofRequests
from stun.repetition import SeenTransactions
from stun.snapshot import read_paths, write_paths
from wire.buffer import Reader, Writer
from wire.core import Closed, Drops, Entropy, Event, Path
from wire.errors import LocalProtocolError, MalformedError
from wire.snapshot_fields import read_flag, read_text, write_text

__all__ = ["IceCredentials", "IceLite", "IceLiteOptions"]

_FORMAT = 1  # of a snapshot


@attrs.frozen(kw_only=True)
class IceCredentials:
    """What one end shows and checks in STUN.

    Attributes:
        ufrag: the username fragment.
        password: the password.
    """

    ufrag: str
    password: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class IceLiteOptions(PathOptions):
    """The numbers of an `IceLite`, besides those of its paths.

    Attributes:
        request_interval: seconds from the first Binding Request to a path to the second, if a check asks for it;
            doubles with each. Chrome's checks come 50 ms apart at first, so a lost request costs little.
        request_interval_limit: seconds beyond which that does not grow.
        error_interval: seconds between two error responses, so that nobody can have many of them sent to a third party.
        recent_transactions: how many of the client's transaction ids are kept with their source, to answer its own
            repetitions and no one else's. Chrome sends 20 checks a second at first and one in two seconds later.
        older_transactions: how many more are recognized, to refuse them.
    """

    request_interval: float = 0.05
    request_interval_limit: float = 2.0
    error_interval: float = 0.05
    recent_transactions: int = 128
    older_transactions: int = 1024


class _Generation:
    """The credentials of both ends between two ICE restarts."""

    __slots__ = ("key", "local", "number", "proofs", "remote", "ufrag")

    def __init__(self, number: int, local: IceCredentials, options: IceLiteOptions, entropy: Entropy) -> None:
        self.number = number
        self.local = local
        self.remote: IceCredentials | None = None
        self.ufrag = local.ufrag.encode()
        self.key = local.password.encode()
        self.proofs = ProofRequests(
            local_ufrag=local.ufrag,
            entropy=entropy,
            interval=options.request_interval,
            interval_limit=options.request_interval_limit,
        )

    def set_remote(self, remote: IceCredentials) -> None:
        self.remote = remote
        self.proofs.set_remote_credentials(remote.ufrag, remote.password)


class IceLite:
    """A lite ICE agent, always controlled; a `wire.core.MultipathCore`.

    Checks are answered while the client's credentials are not known yet, as an answer may be prepared before there
    is an offer; nothing but answers is sent until they are.

    DEVIATES: RFC 8445 §7 has a lite agent send no checks. Ours sends a Binding Request to each path that wants media,
    because a check does not prove its source address (see `stun.paths`). Full agents answer it as any other.

    Args:
        local_ufrag: our username fragment.
        local_pwd: our password.
        entropy: for transaction ids and the tiebreaker.
        now: the present time.
        remote_ufrag: the client's username fragment, if known.
        remote_pwd: the client's password, if known.
        options: numbers that may be tuned.

    Attributes:
        carrier: the selected path and what is known of it; None before one is validated. Nobody else writes to it,
            but when something authentic was heard there.
        drops: how many datagrams were dropped, by `DropReason`.
        round_trip_time: seconds between the last request of ours that was answered and its answer; None before.
    """

    __slots__ = (
        "_closed",
        "_entropy",
        "_errors_from",
        "_expiry",
        "_former",
        "_options",
        "_outgoing",
        "_paths",
        "_present",
        "_seen",
        "_unasked",
        "_was_selected",
        "carrier",
        "drops",
        "round_trip_time",
    )

    def __init__(
        self,
        *,
        local_ufrag: str,
        local_pwd: str,
        entropy: Entropy,
        now: float,
        remote_ufrag: str | None = None,
        remote_pwd: str | None = None,
        options: IceLiteOptions = IceLiteOptions(),
    ) -> None:
        self._options = options
        self._entropy = entropy
        self._present = _Generation(0, IceCredentials(ufrag=local_ufrag, password=local_pwd), options, entropy)
        self._former: _Generation | None = None  # counts too, until a path is validated with the present one
        self._paths = PathTable(options)
        self.carrier: TrackedPath | None = None
        self._was_selected = False
        self._seen = SeenTransactions(recent=options.recent_transactions, older=options.older_transactions)
        self._unasked = False  # the client has become known, and paths wait
        self._outgoing: list[tuple[bytes, Path]] = []
        self._errors_from = now
        self._expiry: float | None = None
        self._closed = False
        self.drops: Drops = Drops()
        self.round_trip_time: float | None = None
        if remote_ufrag is not None and remote_pwd is not None:
            self.set_remote_credentials(remote_ufrag, remote_pwd)

    # What the session asks and says.

    @property
    def selected(self) -> Path | None:
        """The path to send to; None before one is validated."""
        return None if self.carrier is None else self.carrier.path

    @property
    def local(self) -> IceCredentials:
        """Our credentials since the last restart."""
        return self._present.local

    @property
    def remote(self) -> IceCredentials | None:
        """The client's credentials since the last restart; None while they are not known."""
        return self._present.remote

    @property
    def is_restarting(self) -> bool:
        """Whether the credentials of before the last restart still count."""
        return self._former is not None

    def knows(self, path: Path) -> bool:
        """Whether an authenticated check has come over a path that is not forgotten yet."""
        return self._paths.get(path) is not None

    def is_validated(self, path: Path) -> bool:
        """Whether more than STUN answers and one DTLS flight may be sent to a path."""
        if self.carrier is not None and path == self.carrier.path:  # the common case, much faster than the look-up
            return True
        tracked = self._paths.get(path)
        return tracked is not None and tracked.is_validated

    def heard(self, path: Path) -> float | None:
        """When something authentic came over a path last; None for one that is not known."""
        tracked = self._paths.get(path)
        return None if tracked is None else tracked.heard

    def set_remote_credentials(self, ufrag: str, pwd: str) -> None:
        """Learn the client's credentials; the paths that wait for validation are asked at the next sending."""
        self._present.set_remote(IceCredentials(ufrag=ufrag, password=pwd))
        self._unasked = True

    def restart(self, local: IceCredentials, remote: IceCredentials) -> None:
        """Use other credentials from here on (RFC 8445 §9); those that work now count until these do.

        Paths stay. A second restart before the first has come to anything takes its place.

        Args:
            local: ours; of another fragment than any before.
            remote: the client's.
        """
        present = self._present
        self._present = _Generation(present.number + 1, local, self._options, self._entropy)
        self._present.set_remote(remote)
        if self._former is None:
            self._former = present

    def path_proven(self, path: Path, now: float) -> Iterable[Event]:
        """Learn that DTLS has completed over a path: the client's Finished covers our random, so it receives there."""
        tracked = self._paths.get(path)
        if tracked is None or self._closed:
            return ()
        return self._prove(tracked, now)

    def authentic_traffic(self, path: Path, now: float) -> Iterable[Event]:
        """Learn of an SRTP packet or DTLS record that is authentic and no repetition.

        It keeps the path alive, and over another path than the selected one it moves media there. Of the selected one
        there is nothing to do but to note when, which whoever hears fifty packets a second does without a call:
        `carrier.heard = now`.
        """
        if self.carrier is not None and path == self.carrier.path:
            self.carrier.heard = now
            return ()
        tracked = self._paths.get(path)
        if tracked is None or self._closed:
            return ()
        events = self._paths.hear(tracked, now)
        self._ask(tracked, now)
        return self._noting(events)

    # What the network says.

    def receive_datagram(self, data: bytes, source: Path, now: float) -> Iterable[Event]:
        """Take one STUN datagram that came from `source`."""
        if self._closed:
            return self._drop(DropReason.CLOSED)
        message = receive_message(data)
        if isinstance(message, DropReason):
            return self._drop(message)
        if message.message_class is MessageClass.REQUEST:
            return self._handle_request(message, data, source, now)
        return self._handle_response(message, data, source, now)

    def _handle_request(self, message: Message, data: bytes, source: Path, now: float) -> Iterable[Event]:
        own_role = AttributeType.ICE_CONTROLLED
        generation = self._generation_of(message)
        refusal = check_request(message, data, ufrag=generation.ufrag, key=generation.key, own_role=own_role)
        if refusal is not None:
            return self._refuse(message, refusal, generation, source, now)
        first_source = self._seen.source_of(message.transaction_id)
        if self._is_repetition(message.transaction_id, first_source, source):
            return self._drop(DropReason.REPEATED)
        if first_source != source:
            self._seen.remember(message.transaction_id, source)
        events: list[Event] = []
        tracked = self._paths.get(source)
        if tracked is None:
            admitted = self._paths.admit(source, now)
            if isinstance(admitted, DropReason):
                return self._drop(admitted)
            tracked, events = admitted
            tracked.generation = generation.number
            events.append(PathAppeared(path=source))
            if self._expiry is None:
                self._expiry = self._paths.next_expiry()
        elif tracked.generation < generation.number:
            self._paths.renew(tracked, generation.number)
        self._outgoing.append((success_response(message, source.address, generation.key), source))
        # RFC 8489 §6.3.1: respond to retransmissions so that the overall state is the same. They renew nothing.
        if first_source != source:
            tracked.heard = now
        # RFC 8445 §7.3.2, §8.2: a lite agent takes a nomination as it comes; the latest wins, each counts once.
        if first_source is None and message.get(AttributeType.USE_CANDIDATE) is not None:
            events += self._paths.claim(tracked, now)
        self._ask(tracked, now)
        return self._noting(events)

    def _generation_of(self, request: Message) -> _Generation:
        """Return the credentials that a request names; the present ones if it names none that count."""
        former = self._former
        if former is not None:
            username = request.get(AttributeType.USERNAME) or b""
            if username.partition(b":")[0] == former.ufrag:
                return former
        return self._present

    def _refuse(
        self, message: Message, refusal: Refusal, generation: _Generation, source: Path, now: float
    ) -> Iterable[Event]:
        if now >= self._errors_from:
            self._errors_from = now + self._options.error_interval
            self._outgoing.append((error_response(message, refusal, generation.key), source))
        return self._drop(refusal.drop_reason)

    def _is_repetition(self, transaction_id: bytes, first_source: Path | None, source: Path) -> bool:
        """Whether somebody sends again what the client has sent: an overheard check must not make or choose a path."""
        if first_source is None:
            return self._seen.is_old(transaction_id)
        # A listener may be faster than the client; but a validated path is the client's.
        is_from_client = self.is_validated(source) and not self.is_validated(first_source)
        return first_source != source and not is_from_client

    def _handle_response(self, message: Message, data: bytes, source: Path, now: float) -> Iterable[Event]:
        checked = self._present.proofs.check_answer(message, data, source, now)
        former, is_former = self._former, False
        if checked is DropReason.TRANSACTION and former is not None:
            checked, is_former = former.proofs.check_answer(message, data, source, now), True
        if isinstance(checked, DropReason):
            return self._drop(checked)
        self.round_trip_time = checked
        tracked = self._paths.get(source)
        if tracked is None:
            return ()
        if is_former and tracked.generation == self._present.number:
            return ()  # it has been checked with the present credentials since, and is asked with these now
        return self._prove(tracked, now)

    # Time and sending.

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Let paths expire, and the session with the last of them, if that is due."""
        if self._closed or self._expiry is None or now < self._expiry:
            return ()
        events = self._noting(self._paths.expire(now))
        for tracked in self._paths:
            if tracked.is_validated:
                self._ask(tracked, now)
        if self._was_selected and not len(self._paths):
            return [*events, self._close()]
        # The time that was waited for may have passed without any path being silent that long.
        self._expiry = self._paths.next_expiry()
        return events

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called; traffic does not move it, which would cost for every packet."""
        return self._expiry

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Path]]:
        """Take what is to be sent, each with its destination."""
        if self._unasked:
            self._unasked = False
            for tracked in self._paths:
                self._ask(tracked, now)
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # Moving house.

    def snapshot(self, now: float) -> bytes:
        """Return what another process has to know of the client's paths and of the credentials that count.

        Raises:
            LocalProtocolError: the client's credentials are not known yet.
        """
        writer = Writer().u8(_FORMAT)
        _write_generation(writer, self._present)
        writer.u8(self._former is not None)
        if self._former is not None:
            _write_generation(writer, self._former)
        write_paths(writer, self._paths, self._seen, now)
        return writer.finish()

    def resume(self, data: bytes, now: float, age: float) -> None:
        """Go on, as a new agent that has seen nothing yet, where `snapshot` left off.

        Args:
            data: what it returned.
            now: the present time.
            age: how many seconds ago that was. It counts for proofs, not for consent: another process may have heard
                the client since.

        Raises:
            MalformedError: the data is something else.
        """
        reader = Reader(data)
        if (number := reader.u8("format")) != _FORMAT:
            raise MalformedError("format", 0, f"format {number} is not known")
        self._present = self._read_generation(reader)
        self._former = self._read_generation(reader) if read_flag(reader, "restarts") else None
        read_paths(reader, self._paths, self._seen, now, age)
        reader.finish("paths")
        self._unasked = False  # paths that wait were asked; their next checks have them asked again
        self._expiry = self._paths.next_expiry()
        self._noting([])

    def _read_generation(self, reader: Reader) -> _Generation:
        number = reader.u32("generation")
        local, remote = (
            IceCredentials(ufrag=read_text(reader, "ufrag"), password=read_text(reader, "password")) for _ in range(2)
        )
        generation = _Generation(number, local, self._options, self._entropy)
        generation.set_remote(remote)
        return generation

    # Small parts.

    def _prove(self, tracked: TrackedPath, now: float) -> list[Event]:
        """Note that the client receives over a path; with that, a restart has come to its end."""
        if self._former is not None and tracked.generation == self._present.number:
            self._former = None
            self._paths.retire(tracked.generation)
        return self._noting(self._paths.prove(tracked, now))

    def _ask(self, tracked: TrackedPath, now: float) -> None:
        """Send a Binding Request over a path, if an answer would change something and it is not too soon."""
        if self._paths.wants_proof(tracked, now):
            former = self._former
            is_former = former is not None and tracked.generation < self._present.number
            proofs = former.proofs if former is not None and is_former else self._present.proofs
            request = proofs.ask(tracked, now)
            if request is not None:
                self._outgoing.append((request, tracked.path))

    def _noting(self, events: list[Event]) -> list[Event]:
        """Keep the carrier in step with the table."""
        self.carrier = self._paths.selected
        self._was_selected = self._was_selected or self.carrier is not None
        return events

    def _drop(self, reason: DropReason) -> Iterable[Event]:
        self.drops[reason] += 1
        return ()

    def _close(self) -> Closed:
        self._closed = True
        self._outgoing.clear()
        self._expiry = None
        self.carrier = None
        return Closed(reason="consent-expired", detail="nothing authentic came from the client for 30 seconds")


def _write_generation(writer: Writer, generation: _Generation) -> None:
    if generation.remote is None:
        raise LocalProtocolError("the client's credentials are not known")
    writer.u32(generation.number, "generation")
    for credentials in (generation.local, generation.remote):
        write_text(writer, credentials.ufrag, "ufrag")
        write_text(writer, credentials.password, "password")
