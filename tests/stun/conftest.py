"""A client made of bytes, for tests that need to say exactly what it sends."""

import random
from collections.abc import Callable, Iterable

import pytest

from stun.attributes import Attribute, AttributeType
from stun.binding import pack_username, success_response
from stun.integrity import (
    add_fingerprint,
    add_message_integrity,
    add_message_integrity_sha256,
    verify_message_integrity,
)
from stun.lite import IceLite, IceLiteOptions
from stun.message import Message, MessageClass
from wire.core import Path

LOCAL_UFRAG, LOCAL_PWD = "server", "server-password-of-24-ch"
REMOTE_UFRAG, REMOTE_PWD = "9idp", "g9xxqUW+DWQhrdvj0WpGFdRI"


def seeded_entropy(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


class Client:
    """Writes checks and answers; every field can be made wrong."""

    def __init__(self) -> None:
        self.count = 0

    def check(
        self,
        *,
        transaction_id: bytes | None = None,
        nominate: bool = False,
        username: bytes | None = pack_username(LOCAL_UFRAG, REMOTE_UFRAG),
        password: str | None = LOCAL_PWD,
        role: AttributeType | None = AttributeType.ICE_CONTROLLING,
        extra: Iterable[Attribute] = (),
        sha256: bool = False,
        behind_integrity: Iterable[Attribute] = (),
        fingerprint: bool = True,
        method: int = 1,
        message_class: MessageClass = MessageClass.REQUEST,
    ) -> bytes:
        self.count += 1
        attributes = [Attribute(AttributeType.USERNAME, username)] if username is not None else []
        if role is not None:
            attributes.append(Attribute(role, b"tiebreak"))
        if nominate:
            attributes.append(Attribute(AttributeType.USE_CANDIDATE, b""))
        attributes += [Attribute(AttributeType.PRIORITY, bytes.fromhex("6e7e1eff")), *extra]
        data = Message(
            method=method,
            message_class=message_class,
            transaction_id=transaction_id or self.count.to_bytes(12, "big"),
            attributes=tuple(attributes),
        ).serialize()
        if password is not None:
            add = add_message_integrity_sha256 if sha256 else add_message_integrity
            data = add(data, password.encode())
        for attribute in behind_integrity:
            data = append(data, attribute)
        return add_fingerprint(data) if fingerprint else data

    def answer(self, request: bytes, source: Path, password: str = REMOTE_PWD) -> bytes:
        """Answer a Binding Request of the server's, as seen from our side."""
        return success_response(Message.parse(request), source.address, password.encode())


def append(data: bytes, attribute: Attribute) -> bytes:
    """Put an attribute behind what is there, and correct the length."""
    value = attribute.value + bytes(-len(attribute.value) % 4)
    packed = attribute.type.to_bytes(2, "big") + len(attribute.value).to_bytes(2, "big") + value
    return data[:2] + (len(data) - 20 + len(packed)).to_bytes(2, "big") + data[4:] + packed


class Scene:
    """An `IceLite`, a client, and what went between them."""

    def __init__(self, *, known: bool = True, options: IceLiteOptions | None = None) -> None:
        self.client = Client()
        self.lite = IceLite(
            local_ufrag=LOCAL_UFRAG,
            local_pwd=LOCAL_PWD,
            remote_ufrag=REMOTE_UFRAG if known else None,
            remote_pwd=REMOTE_PWD if known else None,
            entropy=seeded_entropy(1),
            now=0.0,
            options=options or IceLiteOptions(),
        )
        self.sent: list[tuple[bytes, Path]] = []

    def receive(self, data: bytes, path: Path, now: float) -> list:
        """Give a datagram to the server and collect what it sends."""
        events = list(self.lite.receive_datagram(data, path, now))
        self.collect(now)
        return events

    def collect(self, now: float) -> None:
        self.sent = list(self.lite.datagrams_to_send(now))

    def check(self, path: Path, now: float, **how) -> list:
        return self.receive(self.client.check(**how), path, now)

    def responses(self) -> list[Message]:
        parsed = [Message.parse(data) for data, _ in self.sent]
        return [message for message in parsed if message.message_class is not MessageClass.REQUEST]

    def requests(self) -> list[tuple[bytes, Path]]:
        return [(data, to) for data, to in self.sent if Message.parse(data).message_class is MessageClass.REQUEST]

    def validate(self, path: Path, now: float, **how) -> list:
        """Send a check, answer the request that comes back, and return the events of both."""
        events = self.check(path, now, **how)
        ((request, destination),) = self.requests()
        assert destination == path
        assert verify_message_integrity(request, REMOTE_PWD.encode())
        return events + self.receive(self.client.answer(request, path), path, now)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def make_scene() -> type[Scene]:
    return Scene
