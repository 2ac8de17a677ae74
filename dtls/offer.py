"""A client's ClientHello: everything we speak, and the secrets behind it.

Source: RFC 9147 §5.3, RFC 8446 §4.1.2.
"""

import functools

import attrs

from dtls.cipher_suites import CIPHER_SUITES
from dtls.extensions.block import Extension, ExtensionBlock, ExtensionBody
from dtls.extensions.groups import KeyShareEntry, KeyShares, SupportedGroups
from dtls.extensions.legacy import EcPointFormats, ExtendedMasterSecret, RenegotiationInfo
from dtls.extensions.signatures import SignatureAlgorithms
from dtls.extensions.srtp import UseSrtp
from dtls.extensions.versions import SupportedVersions
from dtls.groups import Group, KeyExchange, generate_all
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.message import HandshakeMessage
from dtls.options import DtlsOptions
from dtls.signatures import SIGNATURE_SCHEMES
from dtls.versions import Version
from wire.core import Entropy
from wire.errors import LocalProtocolError

__all__ = ["ClientOffer", "build_client_hello"]


@attrs.frozen(kw_only=True)
class ClientOffer:
    """A ClientHello that was sent.

    Attributes:
        hello: its content.
        message: the message, for the transcript.
        key_exchanges: our half of each key exchange that has a share in it.
    """

    hello: ClientHello
    message: HandshakeMessage
    key_exchanges: dict[Group, KeyExchange] = attrs.field(repr=False)


def build_client_hello(options: DtlsOptions, entropy: Entropy) -> tuple[ClientHello, dict[Group, KeyExchange]]:
    """Offer all that we speak.

    Returns:
        The ClientHello, and our half of each key exchange that has a share in it.

    Raises:
        LocalProtocolError: the options leave no group.
    """
    groups = _groups_with_share(options)
    if not groups:
        raise LocalProtocolError("a client needs a group in both `groups` and `share_groups`")
    key_exchanges: dict[Group, KeyExchange] = {}
    shares: tuple[Extension, ...] = ()
    if Version.DTLS_1_3 in options.versions:
        key_exchanges = generate_all(groups, entropy)
        entries = [KeyShareEntry(group=group, key_exchange=ours.share) for group, ours in key_exchanges.items()]
        shares = ExtensionBlock.of([KeyShares(entries=tuple(entries))]).entries
    hello = ClientHello(
        random=entropy(32),
        cipher_suites=tuple(suite.number for suite in CIPHER_SUITES.values() if suite.version in options.versions),
        extensions=ExtensionBlock(_same_for_all(options) + shares),
    )
    return hello, key_exchanges


def _groups_with_share(options: DtlsOptions) -> tuple[Group, ...]:
    return tuple(group for group in options.groups if group in options.share_groups)


@functools.lru_cache(maxsize=8)  # options are few, and calls are many
def _same_for_all(options: DtlsOptions) -> tuple[Extension, ...]:
    """Write what is the same in every ClientHello with these options: all but the key shares."""
    groups = _groups_with_share(options)
    extensions: list[ExtensionBody] = [
        SupportedVersions(versions=tuple(options.versions)),
        SignatureAlgorithms(schemes=SIGNATURE_SCHEMES),
    ]
    if Version.DTLS_1_2 in options.versions:
        # RFC 8422 §5.1: a 1.2 server takes its curve from the same list. P-256 has to be in it (RFC 8827 §6.5); it
        # stands last, and a 1.3 server that sees shares for the groups before it has no reason to ask for it.
        groups += () if Group.SECP256R1 in groups else (Group.SECP256R1,)
        extensions += [ExtendedMasterSecret(), RenegotiationInfo(), EcPointFormats()]
    extensions.append(SupportedGroups(groups=groups))
    if options.srtp_profiles:
        extensions.append(UseSrtp(profiles=tuple(options.srtp_profiles)))
    return ExtensionBlock.of(extensions).entries
