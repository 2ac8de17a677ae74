"""A relay process that is replaced: how soon the next one forwards, on real sockets, with no STUN to wait for."""

import os

import pytest
import trio

from relay.hop.bundles import parts_of
from relay.hop.header import CONTROL, SEALED, UP, pack_header
from relay.hop.links import FlowsWanted, TransceiverLink
from relay.udp import address_of, drain, open_udp
from relay.worker import IngressBinding, RelayKeys, RelayOptions, RelayWorker

INGRESS = 5
FLOWS = 500


class Transceiver:
    """A link and a socket, and flows that are announced when they are wanted."""

    def __init__(self, kit, client, **options):
        self.sock = open_udp("127.0.0.1", 0, on_warning=lambda _: None)
        self.link = TransceiverLink(
            keys=kit.hop_keys,
            cluster=1,
            incarnation=2,
            worker=0,
            entropy=os.urandom,
            now=trio.current_time(),
            **options,
        )
        # The client's flow comes last: it is known when all are.
        clients = [(f"192.0.2.{number & 255}", 1000 + number) for number in range(FLOWS)] + [client]
        self.flows = [
            pack_header(
                UP,
                ingress=INGRESS,
                client=each,
                session=number,
                tag=kit.flow_tags.make(INGRESS, number, each),
            )
            for number, each in enumerate(clients)
        ]
        self.received = trio.Event()
        self.got = b""

    async def run(self):
        with self.sock:
            while True:
                with trio.move_on_after(0.02):
                    await trio.lowlevel.wait_readable(self.sock)
                now = trio.current_time()
                for data, source in drain(self.sock):
                    for part in parts_of(data) or [data]:
                        self.take(part, source, now)
                list(self.link.handle_timeout(now))
                for data, relay in self.link.datagrams_to_send(now):
                    self.sock.sendto(data, relay)

    def take(self, data, source, now):
        if data[0] == CONTROL:
            for event in self.link.receive_control(data, source, now):
                if isinstance(event, FlowsWanted):
                    self.link.tell.announce(event.address, self.flows)
            return
        if data[0] == SEALED:
            data = self.link.open_data(data, source)
        self.got = data
        self.received.set()


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_relay_that_starts_forwards_media_as_soon_as_it_knows_its_transceivers(kit, datapath, nursery, sealed):
    with open_udp("127.0.0.1", 0, on_warning=lambda _: None) as client:
        transceiver = Transceiver(kit, address_of(client), sealed=sealed)
        nursery.start_soon(transceiver.run)
        keys = RelayKeys(credentials=kit.credentials, hop=kit.hop_keys, flow_tags=kit.flow_tags)
        options = RelayOptions(
            hop=("127.0.0.1", 0),
            ingresses=[IngressBinding(id=INGRESS, bind=("127.0.0.1", 0))],
            transceivers=[address_of(transceiver.sock)],
        )
        for _ in range(3):
            transceiver.received = trio.Event()
            relay = RelayWorker(options, keys)
            async with trio.open_nursery() as life:
                await life.start(relay.run)
                with trio.fail_after(5):
                    while not transceiver.received.is_set():
                        client.sendto(b"\x80media", relay.ingress_addresses[INGRESS])
                        await trio.sleep(0.002)
                assert transceiver.got == transceiver.flows[-1] + b"\x80media"
                assert relay.forwarder.counts["announced"] == FLOWS + 1
                assert relay.forwarder.counts["claimed"] == 0
                life.cancel_scope.cancel()
