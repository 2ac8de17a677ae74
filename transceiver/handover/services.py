"""What a worker is given from outside to move calls: a store, peers, and the keys of snapshots."""

import attrs

from transceiver.handover.ownership import OwnershipStore
from transceiver.handover.peers import Peers
from transceiver.handover.sealing import SnapshotKeys

__all__ = ["HandoverServices"]


@attrs.frozen(kw_only=True)
class HandoverServices:
    """What moving calls needs.

    Attributes:
        store: who has which session.
        peers: the other transceivers.
        keys: seal and open snapshots.
    """

    store: OwnershipStore
    peers: Peers
    keys: SnapshotKeys = attrs.field(repr=False)
