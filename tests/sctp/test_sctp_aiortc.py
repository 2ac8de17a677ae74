"""A foreign peer: aiortc's SCTP, handed bytes by a DTLS transport that is none."""

import asyncio
import contextlib
import random

import pytest
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from sctp.association import SctpAssociation
from sctp.dcep import DataChannelOpen, parse_message
from sctp.drops import DropReason
from sctp.events import Connected, MessageReceived, StreamsReset, StreamsResetDone
from sctp.options import SctpOptions
from sctp.states import State
from wire.core import Closed

DCEP, STRING, BINARY = 50, 51, 53


class Dtls:
    """What aiortc's SCTP needs of a DTLS transport."""

    state = "connected"

    def __init__(self, role):
        self._role = role
        self.outgoing = []
        self.receiver = None
        self.wake = asyncio.Event()

    def _register_data_receiver(self, receiver):
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver):
        self.receiver = None

    async def _send_data(self, data):
        self.outgoing.append(data)
        self.wake.set()


class Call:
    """Our association and theirs, with a perfect wire between them."""

    def __init__(self, *, aiortc_role="server", lose=0.0, seed=1, options=None):
        self.loop = asyncio.get_running_loop()
        self.dtls = Dtls(aiortc_role)
        self.theirs = RTCSctpTransport(self.dtls)
        self.ours = SctpAssociation(
            options=options or SctpOptions(), entropy=random.Random(seed).randbytes, now=self.loop.time()
        )
        self.events = []
        self.received = []
        self.channels = []
        self._dice = random.Random(seed)
        self.lose = lose
        self.theirs.on("datachannel", self.channels.append)

    @property
    def now(self):
        return self.loop.time()

    async def begin(self, *, we_call=True, they_call=True):
        if they_call:
            await self.theirs.start(RTCSctpCapabilities(maxMessageSize=262144), 5000)
        else:
            # Waits for our INIT.
            self.dtls._register_data_receiver(self.theirs)
            self.theirs._RTCSctpTransport__started = True
            self.theirs._remote_port = 5000
            self.theirs._data_channel_id = 1 if self.theirs.is_server else 0
        if we_call:
            self.ours.connect(self.now)

    async def until(self, condition, seconds=20.0):
        """Carry packets until something is so."""
        end = self.now + seconds
        while not condition():
            assert self.now < end, (self.events[-3:], self.ours.state, self.ours.drops)
            timeout = self.ours.next_timeout()
            if not await self.carry():
                self.dtls.wake.clear()
                wait = 0.05 if timeout is None else min(max(timeout - self.now, 0.0), 0.05)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.dtls.wake.wait(), wait)

    async def carry(self):
        """Carry what both sides have to send now; return whether there was anything."""
        moved = False
        for data in self.ours.datagrams_to_send(self.now):
            moved = True
            if self._dice.random() >= self.lose:
                await self.dtls.receiver._handle_data(data)
        await asyncio.sleep(0)
        outgoing, self.dtls.outgoing = self.dtls.outgoing, []
        for data in outgoing:
            moved = True
            if self._dice.random() >= self.lose:
                self.events += self.ours.receive_datagram(data, self.now)
        timeout = self.ours.next_timeout()
        if timeout is not None and timeout <= self.now:
            self.events += self.ours.handle_timeout(self.now)
            moved = True
        return moved

    def is_connected(self):
        return self.theirs._association_state == self.theirs.State.ESTABLISHED and self.ours.state is State.ESTABLISHED

    def messages(self, ppid=None):
        return [e.data for e in self.events if isinstance(e, MessageReceived) and ppid in (None, e.ppid)]


def in_a_loop(scenario, **call):
    """Run a scenario with a call in asyncio; these tests are plain functions, because Trio runs all others."""

    async def run():
        made = Call(**call)
        try:
            await scenario(made)
        finally:
            await made.theirs.stop()

    asyncio.run(run())


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize(("we_call", "they_call"), [(True, True), (True, False), (False, True)])
def test_set_up_from_either_side_or_both(role, we_call, they_call):
    async def scenario(call):
        await call.begin(we_call=we_call, they_call=they_call)
        await call.until(call.is_connected)
        assert [type(event) for event in call.events] == [Connected]
        assert call.theirs._remote_partial_reliability

    in_a_loop(scenario, aiortc_role=role)


@pytest.mark.parametrize(("role", "lose"), [("client", 0.0), ("server", 0.0), ("server", 0.01)])
def test_large_messages_both_ways(role, lose):
    large = random.Random(7).randbytes(200_000)

    async def scenario(call):
        await call.begin()
        await call.until(call.is_connected)
        channel = RTCDataChannel(call.theirs, RTCDataChannelParameters(label="theirs"))
        await call.until(lambda: call.messages(DCEP))
        opening = parse_message(call.messages(DCEP)[0])
        assert isinstance(opening, DataChannelOpen)
        assert opening.label == "theirs"
        channel_id = next(event.stream_id for event in call.events if isinstance(event, MessageReceived))
        assert channel_id == (1 if role == "server" else 0)
        call.ours.send(channel_id, DCEP, b"\x02", call.now)
        await call.until(lambda: channel.readyState == "open")
        got = []
        channel.on("message", got.append)
        for _ in range(2):
            channel.send(large)
            call.ours.send(channel_id, BINARY, large, call.now)
        channel.send("text")
        call.ours.send(channel_id, STRING, b"text", call.now)
        await call.until(lambda: len(got) == 3 and len(call.messages(BINARY)) == 2 and call.messages(STRING), 60)
        assert got == [large, large, "text"]
        assert call.messages(BINARY) == [large, large]
        assert call.messages(STRING) == [b"text"]
        unexpected = set(call.ours.drops) - {DropReason.DUPLICATE_TSN, DropReason.OLD_SACK, DropReason.UNEXPECTED_CHUNK}
        assert not unexpected

    in_a_loop(scenario, aiortc_role=role, lose=lose)


@pytest.mark.parametrize("who", ["we", "they"])
def test_closing_a_channel_resets_its_streams_both_ways(who):
    async def scenario(call):
        await call.begin()
        await call.until(call.is_connected)
        channel = RTCDataChannel(call.theirs, RTCDataChannelParameters(label="theirs"))
        await call.until(lambda: call.messages(DCEP))
        call.ours.send(1, DCEP, b"\x02", call.now)
        await call.until(lambda: channel.readyState == "open")
        channel.send("last words")
        if who == "we":
            call.ours.reset_streams([1], call.now)
            await call.until(lambda: StreamsReset(stream_ids=(1,)) in call.events)
        else:
            channel.close()
            await call.until(lambda: StreamsReset(stream_ids=(1,)) in call.events)
            call.ours.reset_streams([1], call.now)
        await call.until(lambda: StreamsResetDone(stream_ids=(1,), is_performed=True) in call.events)
        await call.until(lambda: channel.readyState == "closed")
        assert call.messages(STRING) == [b"last words"]
        # The stream can be used again, from sequence number 0.
        again = RTCDataChannel(call.theirs, RTCDataChannelParameters(label="again", negotiated=True, id=1))
        again.send("first words")
        await call.until(lambda: len(call.messages(STRING)) == 2)

    in_a_loop(scenario)


def test_what_they_give_up_is_skipped():
    async def scenario(call):
        await call.begin()
        await call.until(call.is_connected)
        call.lose = 0.3
        parameters = RTCDataChannelParameters(label="lossy", maxRetransmits=0, negotiated=True, id=5)
        channel = RTCDataChannel(call.theirs, parameters)
        for number in range(60):
            channel.send(f"{number}")
            await call.carry()
        call.lose = 0.0
        reliable = RTCDataChannel(call.theirs, RTCDataChannelParameters(label="sure", negotiated=True, id=7))
        reliable.send("end")
        await call.until(lambda: b"end" in call.messages())
        numbers = [int(data) for data in call.messages() if data != b"end"]
        assert numbers == sorted(numbers)
        assert len(numbers) < 60

    in_a_loop(scenario)


def test_what_we_give_up_is_skipped():
    async def scenario(call):
        await call.begin()
        await call.until(call.is_connected)
        got = []
        channel = RTCDataChannel(call.theirs, RTCDataChannelParameters(label="ours", negotiated=True, id=5))
        channel.on("message", got.append)
        call.lose = 0.3
        for number in range(60):
            call.ours.send(5, STRING, b"%d" % number, call.now, max_retransmits=0)
            await call.carry()
        call.lose = 0.0
        call.ours.send(5, STRING, b"1000", call.now)
        await call.until(lambda: "1000" in got)
        numbers = [int(text) for text in got]
        assert numbers == sorted(numbers)
        assert len(numbers) < 60

    in_a_loop(scenario)


def test_they_shut_down():
    async def scenario(call):
        await call.begin()
        await call.until(call.is_connected)
        await call.theirs._abort()
        await call.until(lambda: any(isinstance(event, Closed) for event in call.events))
        assert call.events[-1].reason == "peer-abort"

    in_a_loop(scenario)


def test_we_shut_down():
    async def scenario(call):
        await call.begin()
        await call.until(call.is_connected)
        call.ours.send(1, STRING, b"goodbye", call.now)
        call.ours.shutdown(call.now)
        await call.until(lambda: any(isinstance(event, Closed) for event in call.events))
        assert call.events[-1].reason == "shutdown"

    in_a_loop(scenario)
