"""aioice, an ICE agent that shares no code with ours: its codec, and the whole agent against our lite one."""

import asyncio
import random

import aioice
import aioice.stun
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stun.attributes import Attribute, AttributeType
from stun.binding import Refusal, binding_request, error_response, pack_username, success_response
from stun.events import PathSelected, PathValidated
from stun.integrity import verify_fingerprint, verify_message_integrity
from stun.lite import IceCredentials, IceLite
from stun.message import Message, MessageClass
from wire.core import Path

KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
addresses = st.tuples(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str), st.integers(0, 65535))
transaction_ids = st.binary(min_size=12, max_size=12)


@given(transaction_ids, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.booleans())
def test_its_checks_are_read_by_us(transaction_id, priority, tiebreaker, nominate):
    theirs = aioice.stun.Message(
        message_method=aioice.stun.Method.BINDING,
        message_class=aioice.stun.Class.REQUEST,
        transaction_id=transaction_id,
        attributes={"USERNAME": "server:client", "PRIORITY": priority, "ICE-CONTROLLING": tiebreaker},
    )
    if nominate:
        theirs.attributes["USE-CANDIDATE"] = None
    theirs.add_message_integrity(KEY)
    data = bytes(theirs)
    assert verify_fingerprint(data)
    assert verify_message_integrity(data, KEY)
    ours = Message.parse(data)
    assert ours.message_class is MessageClass.REQUEST
    assert ours.transaction_id == transaction_id
    assert ours.get(AttributeType.USERNAME) == b"server:client"
    assert ours.get(AttributeType.PRIORITY) == priority.to_bytes(4, "big")
    assert ours.get(AttributeType.ICE_CONTROLLING) == tiebreaker.to_bytes(8, "big")
    assert (ours.get(AttributeType.USE_CANDIDATE) is not None) is nominate
    assert ours.serialize() == data


@given(transaction_ids, st.binary(min_size=8, max_size=8))
def test_our_checks_are_read_by_it(transaction_id, tiebreaker):
    attributes = [Attribute(AttributeType.ICE_CONTROLLED, tiebreaker), Attribute(AttributeType.USE_CANDIDATE, b"")]
    data = binding_request(transaction_id, pack_username("client", "server"), KEY, attributes)
    theirs = aioice.stun.parse_message(data)
    assert theirs.check_message_integrity(KEY)
    assert not theirs.check_message_integrity(KEY + b"x")
    assert theirs.transaction_id == transaction_id
    assert theirs.attributes["USERNAME"] == "client:server"
    assert theirs.attributes["ICE-CONTROLLED"] == int.from_bytes(tiebreaker, "big")
    assert "USE-CANDIDATE" in theirs.attributes
    assert "FINGERPRINT" in theirs.attributes


@given(transaction_ids, addresses)
def test_our_answers_are_read_by_it(transaction_id, address):
    request = Message(message_class=MessageClass.REQUEST, transaction_id=transaction_id)
    theirs = aioice.stun.parse_message(success_response(request, address, KEY))
    assert theirs.check_message_integrity(KEY)
    assert theirs.message_class is aioice.stun.Class.RESPONSE
    assert theirs.attributes["XOR-MAPPED-ADDRESS"] == address


@pytest.mark.parametrize("refusal", Refusal)
def test_our_errors_are_read_by_it(refusal):
    request = Message(message_class=MessageClass.REQUEST, transaction_id=bytes(12))
    theirs = aioice.stun.parse_message(error_response(request, refusal, KEY))
    assert theirs.message_class is aioice.stun.Class.ERROR
    assert theirs.error_code == refusal
    assert theirs.check_message_integrity(KEY) is refusal.is_authenticated


class LiteServer(asyncio.DatagramProtocol):
    """Our lite agent on a socket of asyncio's, which is aioice's world."""

    def __init__(self, lite: IceLite) -> None:
        self.lite = lite
        self.events: list = []

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, address) -> None:
        now = asyncio.get_running_loop().time()
        if data[:1] < b"\4":
            self.events += self.lite.receive_datagram(data, Path(address[:2]), now)
        else:
            self.events += self.lite.authentic_traffic(Path(address[:2]), now)
            self.transport.sendto(data.upper(), self.lite.selected.address)
        for out, path in self.lite.datagrams_to_send(now):
            self.transport.sendto(out, path.address)


async def connect(client: aioice.Connection, server: tuple[str, int], own: IceCredentials) -> None:
    """Let aioice connect to our agent, and have a word with it."""
    client.remote_is_lite = True
    client.remote_username, client.remote_password = own.ufrag, own.password
    await client.add_remote_candidate(aioice.Candidate.from_sdp(f"1 1 udp 2130706431 {server[0]} {server[1]} typ host"))
    await client.add_remote_candidate(None)
    async with asyncio.timeout(5):
        await client.connect()
        await client.send(b"\x80hello")
        assert await client.recv() == b"\x80HELLO"


def credentials_of(client: aioice.Connection) -> IceCredentials:
    return IceCredentials(ufrag=client.local_username, password=client.local_password)


def test_its_agent_connects_to_our_lite_one_and_restarts():
    """A restart of aioice's is another agent of it: other credentials, other ports, and the first goes on meanwhile."""
    own = [
        IceCredentials(ufrag="server", password="server-password-of-24-ch"),
        IceCredentials(ufrag="again", password="another-password-of-ours"),
    ]

    async def call() -> None:
        loop = asyncio.get_running_loop()
        clients = [aioice.Connection(ice_controlling=True) for _ in range(2)]
        lite = IceLite(
            local_ufrag=own[0].ufrag,
            local_pwd=own[0].password,
            remote_ufrag=clients[0].local_username,
            remote_pwd=clients[0].local_password,
            entropy=random.Random(1).randbytes,
            now=loop.time(),
        )
        for client in clients:
            await client.gather_candidates()
        hosts = [candidate.host for candidate in clients[0].local_candidates if "." in candidate.host]
        if not hosts:
            pytest.skip("aioice finds no address but the loopback one, which it does not use")
        transport, server = await loop.create_datagram_endpoint(lambda: LiteServer(lite), local_addr=(hosts[0], 0))
        address = hosts[0], transport.get_extra_info("sockname")[1]
        await connect(clients[0], address, own[0])
        first = lite.selected
        # It answers the Binding Request of a lite agent as any other.
        assert PathValidated(path=first) in server.events
        assert PathSelected(path=first) in server.events
        assert lite.round_trip_time is not None

        lite.restart(own[1], credentials_of(clients[1]))
        await clients[0].send(b"\x80still here")
        assert await clients[0].recv() == b"\x80STILL HERE"
        await connect(clients[1], address, own[1])
        second = lite.selected
        assert second != first
        assert PathValidated(path=second) in server.events
        assert not lite.is_restarting
        assert not lite.drops
        for client in clients:
            await client.close()
        transport.close()

    asyncio.run(call())
