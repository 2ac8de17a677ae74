"""The checksum of a packet: CRC32c over all of it, with the checksum field taken as zero.

Under DTLS it protects nothing that is not protected already, but it has to be there: a peer may only leave it out
when both sides have said so (RFC 9653), and we do not say so.

Source: RFC 9260 §6.8 and appendix A.
"""

import google_crc32c

__all__ = ["checksum_of", "crc32c"]

CHECKSUM_OFFSET = 8
_ZEROS = bytes(4)


def crc32c(data: bytes) -> int:
    """Compute the CRC32c (Castagnoli) of some bytes.

    Returns:
        32 bits, as most of the world writes them; SCTP carries their least significant byte first.
    """
    value: int = google_crc32c.value(data)
    return value


def checksum_of(packet: bytes) -> bytes:
    """Compute the four bytes that belong into the checksum field of a packet, whatever they hold now.

    Args:
        packet: a whole SCTP packet, at least its common header.
    """
    # RFC 9260 appendix A: the coefficients of x^31 to x^24 become byte 0, mirrored; for a number in the usual notation
    # that is little-endian.
    end = CHECKSUM_OFFSET + 4
    return crc32c(packet[:CHECKSUM_OFFSET] + _ZEROS + packet[end:]).to_bytes(4, "little")
