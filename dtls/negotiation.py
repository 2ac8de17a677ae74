"""Choosing from what the peer offers: pure functions, each with its own way of finding nothing.

What the server prefers counts (RFC 8446 §4.1.1 leaves it to the server).
"""

from collections.abc import Sequence

from dtls.alerts import AbortError, AlertDescription, misbehaved
from dtls.cipher_suites import CIPHER_SUITES, CipherSuite
from dtls.extensions.groups import KeyShares, SupportedGroups
from dtls.extensions.srtp import UseSrtp
from dtls.extensions.versions import SelectedVersion, SupportedVersions
from dtls.groups import Group
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.server_hello import DOWNGRADE_TO_1_2, ServerHello
from dtls.versions import Version

__all__ = ["check_version", "choose_cipher_suite", "choose_group_with_share", "choose_srtp_profile", "choose_version"]


def choose_version(hello: ClientHello, ours: Sequence[Version]) -> Version:
    """Choose the first of our versions that the client speaks.

    Raises:
        AbortError: there is none.
    """
    supported = hello.extensions.get(SupportedVersions)
    # RFC 8446 §4.2.1: with the extension, legacy_version is ignored; without it, nothing above 1.2 is meant.
    # (Newer versions have lower numbers.)
    offered = (max(hello.legacy_version, Version.DTLS_1_2),) if supported is None else supported.versions
    for version in ours:
        if version in offered:
            return version
    raise AbortError(AlertDescription.PROTOCOL_VERSION, "no-common-version", "the client speaks none of our versions")


def check_version(hello: ServerHello, ours: Sequence[Version]) -> Version:
    """Return the version that a server chose.

    Raises:
        AbortError: it is not ours to speak, or somebody has made the server believe that we speak less than we do.
    """
    version = _version_of(hello)
    if version not in ours:
        detail = "the server chose a version that we did not offer"
        raise AbortError(AlertDescription.PROTOCOL_VERSION, "no-common-version", detail)
    # RFC 8446 §4.1.3: a client that speaks 1.3 MUST refuse a lower version with the mark of a downgrade.
    if version == Version.DTLS_1_2 and Version.DTLS_1_3 in ours and hello.random.endswith(DOWNGRADE_TO_1_2):
        raise misbehaved("somebody removed 1.3 from our ClientHello")
    return Version(version)


def _version_of(hello: ServerHello) -> int:
    selected = hello.extensions.get(SelectedVersion)
    if selected is None:
        return max(hello.legacy_version, Version.DTLS_1_2)
    # RFC 8446 §4.2.1: a version prior to 1.3 in the extension MUST abort with illegal_parameter.
    if selected.version != Version.DTLS_1_3:
        raise misbehaved("supported_versions of the ServerHello does not say 1.3")
    return selected.version


def choose_cipher_suite(offered: Sequence[int], version: Version) -> CipherSuite:
    """Choose the first of our suites of a version that the peer offers.

    Raises:
        AbortError: there is none.
    """
    for number, suite in CIPHER_SUITES.items():
        if suite.version is version and number in offered:
            return suite
    detail = f"the client offers none of our cipher suites of {version.label}"
    raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-common-cipher-suite", detail)


def choose_group_with_share(
    ours: Sequence[Group], shares: KeyShares, supported: SupportedGroups
) -> tuple[Group, bytes]:
    """Choose the first of our groups for which the client sent a share.

    Returns:
        The group and the client's public value.

    Raises:
        AbortError: there is none.
    """
    for group in ours:
        share = shares.for_group(group)
        if share is not None:
            # RFC 8446 §4.2.8: a share for a group that is not in supported_groups is a violation.
            if group not in supported.groups:
                raise misbehaved("key share for a group not offered")
            return group, share
    if any(group in supported.groups for group in ours):
        # This is where a HelloRetryRequest will go.
        detail = "the client sent no key share for a group that we both have, and we send no HelloRetryRequest"
        raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "hello-retry-needed", detail)
    raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-common-group", "the client has none of our groups")


def choose_srtp_profile(ours: Sequence[int], offered: UseSrtp | None) -> int | None:
    """Choose the first of our SRTP profiles that the client offers; None when there is none (RFC 5764 §4.1.1)."""
    if offered is None:
        return None
    return next((profile for profile in ours if profile in offered.profiles), None)
