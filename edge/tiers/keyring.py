"""A bundle's secrets, turned into what the tiers' libraries want.

What a relay does not need is imported where it is used: a relay that starts again has calls waiting for it.
"""

from typing import TYPE_CHECKING

from edge.keys import Bundle, Purpose, control_bearer
from relay.hop.keys import HopKeys
from relay.tags import FlowTags
from relay.worker import RelayKeys
from stun.credentials import CredentialKey, CredentialKeys

if TYPE_CHECKING:
    from edge.signal.client_secrets import ClientSecretKeys
    from transceiver.call_ids import CallIdKeys

__all__ = ["call_id_keys", "client_secret_keys", "control_bearers", "credential_keys", "hop_keys", "relay_keys"]


def credential_keys(bundle: Bundle) -> CredentialKeys:
    """Keys of ICE credentials; relays and transceivers have them."""
    passwords = bundle.secrets(Purpose.ICE_PWD)
    return CredentialKeys(
        [
            CredentialKey(key_id=key_id, token=token, ice_pwd=passwords[key_id])
            for key_id, token in bundle.secrets(Purpose.TOKEN).items()
        ],
        bundle.minting,
    )


def call_id_keys(bundle: Bundle) -> "CallIdKeys":
    """Keys of call ids; signal and transceivers have them."""
    from transceiver.call_ids import CallIdKey, CallIdKeys

    keys = [CallIdKey(key_id=key_id, token=token) for key_id, token in bundle.secrets(Purpose.CALL_ID).items()]
    return CallIdKeys(keys, bundle.minting)


def client_secret_keys(bundle: Bundle) -> "ClientSecretKeys | None":
    """Keys of client secrets; signal has them, unless its bundle is of an earlier version."""
    from edge.signal.client_secrets import ClientSecretKeys

    if Purpose.CLIENT_SECRET in bundle.lacks():
        return None
    return ClientSecretKeys(bundle.secrets(Purpose.CLIENT_SECRET), bundle.minting)


def hop_keys(bundle: Bundle) -> HopKeys:
    """Keys of the hop; relays and transceivers have them."""
    return HopKeys.derive(bundle.secrets(Purpose.HOP), bundle.minting)


def relay_keys(bundle: Bundle) -> RelayKeys:
    """All that a relay has."""
    tags = bundle.secrets(Purpose.FLOW_TAG)
    first = tags.pop(bundle.minting)
    return RelayKeys(
        credentials=credential_keys(bundle), hop=hop_keys(bundle), flow_tags=FlowTags([first, *tags.values()])
    )


def control_bearers(bundle: Bundle) -> list[str]:
    """Bearers of the control API: the one that signal shows first, then the other that transceivers accept."""
    keys = bundle.secrets(Purpose.CONTROL)
    first = keys.pop(bundle.minting)
    return [control_bearer(key) for key in (first, *keys.values())]
