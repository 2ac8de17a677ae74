"""How the clients of our calls are reached: through which relay, under which tag.

Relays mark each forwarded datagram with a flow tag that only they can make (`relay.hop`). We echo the tag on the way
back, so a relay needs no memory of the flow, and cannot be made to send where no client asked. The header of a path
is a constant, so it is also how a datagram finds its session here: one look-up by the header's bytes.
"""

import attrs

from relay.hop.header import answering
from wire.core import Address, Path

__all__ = ["Flow"]


@attrs.define(eq=False)
class Flow:
    """One client path of one session, with the header that leads back to it.

    Attributes:
        path: the client's address and the ingress it talks to.
        up_header: what relays put before each datagram of the path.
        tag: the relay's mark inside that header, opaque to us.
        relay: hop address of the relay that forwarded last.
        header: what goes before each datagram on the way down.
    """

    path: Path
    up_header: bytes
    tag: bytes
    relay: Address
    header: bytes = b""

    def __attrs_post_init__(self) -> None:
        self.header = answering(self.up_header, validated=False)

    def mark_validated(self) -> None:
        """Tell relays from now on that the path is proven, so that no other claim on the address wins."""
        self.header = answering(self.up_header, validated=True)
