"""What a transceiver is given to have its calls move: the store, the keys of snapshots, and the other transceivers."""

from typing import TYPE_CHECKING

from edge.config.model import Role, TransceiverConfig
from edge.control.moving_client import MovingClient
from edge.control.peers import FleetPeers
from edge.keys import Bundle, Purpose
from edge.tiers.control_tls import peer_tls
from edge.tiers.keyring import control_bearers
from transceiver.handover.sealing import SnapshotKeys
from transceiver.handover.services import HandoverServices

if TYPE_CHECKING:
    from edge.registry.membership import Membership

__all__ = ["handover_services", "snapshot_keys"]


def snapshot_keys(bundle: Bundle) -> SnapshotKeys:
    """Keys of snapshots; transceivers have them, and nobody else."""
    return SnapshotKeys(bundle.secrets(Purpose.SNAPSHOT), bundle.minting)


def handover_services(
    config: TransceiverConfig, keys: Bundle, membership: "Membership | None", *, incarnation: int, workers: int
) -> HandoverServices | None:
    """Return what moving calls needs; None where they stay in their process.

    Args:
        config: the transceiver's section.
        keys: its bundle.
        membership: the process's part in its fleet; None without a store.
        incarnation: the transceiver's.
        workers: how many workers it has.
    """
    if membership is None or not config.failover:
        return None
    tls = peer_tls(config)
    peers = FleetPeers(
        members=lambda: membership.roster.members(Role.TRANSCEIVER),
        make_client=lambda url: MovingClient(url, control_bearers(keys)[0], tls=tls),
        cluster=config.cluster,
        incarnation=incarnation,
        workers=workers,
    )
    return HandoverServices(store=membership.stores.ownership, peers=peers, keys=snapshot_keys(keys))
