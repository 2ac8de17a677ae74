"""Clients of a TURN server: each allocates a relayed address and binds a channel to a peer.

    client                       server
      Allocate              ──▶
                            ◀──  401 with REALM and NONCE
      Allocate, signed      ──▶
                            ◀──  XOR-RELAYED-ADDRESS
      ChannelBind, signed   ──▶
                            ◀──  success: channel data may flow both ways

Only what the bench needs: long-term credentials with SHA-1, no refresh, one channel each.

Source: RFC 8656 §7, §12, §18; RFC 8489 §9.2.
"""

import enum
import hashlib
import os
import socket
import struct
import time
from collections.abc import Sequence

import attrs

from bench.relay.sides import IP_PKTINFO, Clients, send_from
from bench.settings import NotMeasured
from stun.attributes import Attribute, AttributeType, MappedAddress, xor_address
from stun.integrity import add_message_integrity
from stun.message import Message, MessageClass
from wire.buffer import Reader, Writer
from wire.core import Address

__all__ = ["CHANNEL", "Credentials", "allocate_all"]

CHANNEL = 0x4000
"""The channel of each client: the first of those that RFC 8656 §12 allows."""

_ALLOCATE, _CHANNEL_BIND = 0x003, 0x009
_CHANNEL_NUMBER, _LIFETIME, _XOR_PEER_ADDRESS, _XOR_RELAYED_ADDRESS = 0x000C, 0x000D, 0x0012, 0x0016
_REQUESTED_TRANSPORT = 0x0019
_UDP = b"\x11\0\0\0"

_AT_ONCE = 128
_RETRY, _PATIENCE = 0.5, 30.0
_PACKET_INFORMATION = struct.Struct("=i4s4s")


@attrs.frozen(kw_only=True)
class Credentials:
    """A user of the server."""

    user: str
    realm: str
    password: str = attrs.field(repr=False)

    @property
    def key(self) -> bytes:
        """What messages are signed with."""
        # RFC 8489 §9.2.2: key = MD5(username ":" realm ":" password)
        return hashlib.md5(f"{self.user}:{self.realm}:{self.password}".encode(), usedforsecurity=False).digest()


class _Step(enum.Enum):
    ASKING = "asking"
    ALLOCATING = "allocating"
    BINDING = "binding"
    BOUND = "bound"


@attrs.define
class _Client:
    """One client on its way."""

    host: str
    transaction: bytes = b""
    request: bytes = b""
    sent: float = 0.0
    nonce: bytes = b""
    relayed: Address = ("", 0)
    step: _Step = _Step.ASKING


def allocate_all(clients: Clients, server: Address, peer: Address, credentials: Credentials) -> Sequence[Address]:
    """Allocate an address for each client and bind `CHANNEL` to a peer.

    Args:
        clients: their hosts.
        server: the TURN server.
        peer: whom all of them talk to.
        credentials: the same for all.

    Returns:
        The relayed addresses, in the order of the clients.

    Raises:
        NotMeasured: the server refuses, or does not answer.
    """
    clients.sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    try:
        return _Allocating(clients, server, peer, credentials).run()
    finally:
        clients.sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 0)


class _Allocating:
    """Some clients at a time, until all have their channel."""

    def __init__(self, clients: Clients, server: Address, peer: Address, credentials: Credentials) -> None:
        self._sock, self._server, self._peer = clients.sock, server, peer
        self._credentials, self._key = credentials, credentials.key
        self._waiting = iter(clients.hosts)
        self._open: dict[str, _Client] = {}
        self._relayed: dict[str, Address] = {}
        self._hosts = clients.hosts

    def run(self) -> Sequence[Address]:
        heard = time.monotonic()
        while len(self._relayed) < len(self._hosts):
            while len(self._open) < _AT_ONCE and (host := next(self._waiting, None)) is not None:
                self._open[host] = client = _Client(host=host)
                self._send(client, _ALLOCATE, [Attribute(_REQUESTED_TRANSPORT, _UDP)])
            now = time.monotonic()
            if self._receive():
                heard = now
                continue
            if now - heard > _PATIENCE:
                raise NotMeasured(f"coturn answers no more; {len(self._relayed)} of {len(self._hosts)} had a channel")
            for client in self._open.values():
                if now - client.sent > _RETRY:
                    client.sent = now
                    send_from(self._sock, client.host, client.request, self._server)
            time.sleep(0.001)
        return [self._relayed[host] for host in self._hosts]

    def _receive(self) -> bool:
        try:
            data, told, _, source = self._sock.recvmsg(2048, 64)
        except BlockingIOError:
            return False
        if source != self._server or not told:
            return True
        host = socket.inet_ntoa(_PACKET_INFORMATION.unpack(told[0][2])[1])
        client, message = self._open.get(host), Message.parse(data)
        if client is not None and message.transaction_id == client.transaction:
            self._advance(client, message)
        return True

    def _advance(self, client: _Client, message: Message) -> None:
        if client.step is _Step.ASKING and message.message_class is MessageClass.ERROR:
            client.nonce, client.step = message.get(AttributeType.NONCE) or b"", _Step.ALLOCATING
            lifetime = Attribute(_LIFETIME, (3600).to_bytes(4, "big"))
            self._send(client, _ALLOCATE, [Attribute(_REQUESTED_TRANSPORT, _UDP), lifetime])
        elif message.message_class is not MessageClass.SUCCESS:
            told = message.get(AttributeType.ERROR_CODE)
            raise NotMeasured(f"coturn refuses ({client.step.value}): {told!r}")
        elif client.step is _Step.ALLOCATING:
            value = message.get(_XOR_RELAYED_ADDRESS) or b""
            client.relayed = MappedAddress.parse(Reader(xor_address(value, message.transaction_id))).address
            client.step = _Step.BINDING
            self._send(client, _CHANNEL_BIND, [Attribute(_CHANNEL_NUMBER, CHANNEL.to_bytes(2, "big") + b"\0\0")])
        else:
            client.step = _Step.BOUND
            self._relayed[client.host] = client.relayed
            del self._open[client.host]

    def _send(self, client: _Client, method: int, attributes: list[Attribute]) -> None:
        client.transaction = os.urandom(12)
        if method == _CHANNEL_BIND:
            writer = Writer()
            MappedAddress(address=self._peer).serialize(writer)
            attributes = [*attributes, Attribute(_XOR_PEER_ADDRESS, xor_address(writer.finish(), client.transaction))]
        if client.nonce:
            user, realm = self._credentials.user.encode(), self._credentials.realm.encode()
            attributes = [
                *attributes,
                Attribute(AttributeType.USERNAME, user),
                Attribute(AttributeType.REALM, realm),
                Attribute(AttributeType.NONCE, client.nonce),
            ]
        message = Message(
            method=method,
            message_class=MessageClass.REQUEST,
            transaction_id=client.transaction,
            attributes=tuple(attributes),
        ).serialize()
        client.request = add_message_integrity(message, self._key) if client.nonce else message
        client.sent = time.monotonic()
        send_from(self._sock, client.host, client.request, self._server)
