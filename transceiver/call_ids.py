"""Call ids: what HTTP clients name a call by.

A call id carries the same route as the call's username fragment, so that any signal node finds the transceiver
without a look-up, but it is sealed under a key of its own: knowing a call id gives nobody the fragment, and so
neither the password nor a way into the call.
"""

from collections.abc import Iterable

import attrs

from stun.credentials import Route, RouteSealer
from wire.errors import LocalProtocolError

__all__ = ["CallIdKey", "CallIdKeys"]

_PREFIX = "rtc_"


@attrs.frozen(kw_only=True)
class CallIdKey:
    """One generation of the key that seals call ids.

    Attributes:
        key_id: 0 to 63.
        token: AES-256-SIV key, 64 bytes.
    """

    key_id: int
    token: bytes = attrs.field(repr=False)


class CallIdKeys:
    """Mints call ids, and opens those that any valid key minted.

    Args:
        keys: those valid now; one, or two while keys are being rotated.
        minting_key_id: which of them new call ids use.

    Raises:
        LocalProtocolError: key ids repeat or are out of range, a key has the wrong size, or the minting key is missing.
    """

    def __init__(self, keys: Iterable[CallIdKey], minting_key_id: int) -> None:
        keys = tuple(keys)
        by_id = {key.key_id: key.token for key in keys}
        if len(by_id) != len(keys):
            raise LocalProtocolError("two call-id keys have the same id")
        # Call ids stand in URLs (`Location: /v1/realtime/calls/rtc_…`), where "+" and "/" would need escaping.
        self._sealer = RouteSealer(purpose="call-id", keys=by_id, minting_key_id=minting_key_id, url_safe=True)

    def mint(self, route: Route) -> str:
        """Make the id of a call: "rtc_" and 49 characters that are safe in a URL."""
        return _PREFIX + self._sealer.seal(route)

    def open(self, call_id: str) -> Route | None:
        """Read a call id; None when it is forged, foreign or truncated. Never raises."""
        if not call_id.startswith(_PREFIX):
            return None
        return self._sealer.open(call_id[len(_PREFIX) :])
