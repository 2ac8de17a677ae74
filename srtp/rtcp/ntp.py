"""The wall clock as reports carry it.

An NTP timestamp counts seconds since 1900 in 32 bits, and 2^-32 fractions of them in another 32. Reports echo its
middle 32 bits: 16 of seconds, 16 of fractions. Here seconds are floats, as everywhere; the rest stays in codecs.

Source: RFC 3550 §4 and §6.4.1.
"""

__all__ = ["compact_seconds", "middle_bits", "ntp_timestamp", "round_trip_time", "seconds_compact", "unix_seconds"]

_UNIX_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""


def ntp_timestamp(unix_time: float) -> int:
    """Convert seconds since 1970 to a 64-bit NTP timestamp, which wraps in 2036."""
    return round((unix_time + _UNIX_EPOCH) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def unix_seconds(timestamp: int) -> float:
    """Convert a 64-bit NTP timestamp of the era that ends in 2036 to seconds since 1970."""
    return timestamp / (1 << 32) - _UNIX_EPOCH


def middle_bits(timestamp: int) -> int:
    """Cut a 64-bit timestamp to the 32 bits that a report block echoes."""
    return timestamp >> 16 & 0xFFFF_FFFF


def compact_seconds(compact: int) -> float:
    """Convert units of 1/65536 s to seconds."""
    return compact / 65536


def seconds_compact(seconds: float) -> int:
    """Convert seconds to units of 1/65536 s, up to what 32 bits hold; never negative."""
    return min(max(round(seconds * 65536), 0), 0xFFFF_FFFF)


def round_trip_time(unix_time: float, last_sender_report: int, delay: int) -> float | None:
    """Compute the round trip from what a report block echoes.

    Args:
        unix_time: when the block arrived, on the clock that our sender reports carry.
        last_sender_report: the block's LSR.
        delay: the block's DLSR.

    Returns:
        Seconds; None when the peer had no sender report yet, or its numbers cannot be.
    """
    if last_sender_report == 0:
        return None
    # RFC 3550 §6.4.1: A - LSR - DLSR, all of them modulo 2^32.
    elapsed = (middle_bits(ntp_timestamp(unix_time)) - last_sender_report - delay) & 0xFFFF_FFFF
    # A clock that was set back, or a peer that echoes what we never sent, gives a "negative" or absurd time.
    seconds = compact_seconds(elapsed)
    return seconds if seconds < 60 else None
