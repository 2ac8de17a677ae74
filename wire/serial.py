"""Sequence numbers that wrap.

Wrapped numbers exist in codecs only. At the edge an `Unwrapper` turns them into plain integers that grow for ever,
so that everything behind it compares and subtracts as in school.

Source: RFC 1982 (serial number arithmetic).
"""

import attrs

__all__ = ["Unwrapper", "serial_distance", "serial_is_newer"]


def serial_distance(newer: int, older: int, bits: int) -> int:
    """How far `newer` is ahead of `older`, negative when it is behind.

    Returns:
        A number from -2^(bits-1) up to, not including, 2^(bits-1).

    Source: RFC 1982 §3.2. The distance of exactly half the space, undefined there, counts as behind.
    """
    half = 1 << (bits - 1)
    return ((newer - older + half) & ((1 << bits) - 1)) - half


def serial_is_newer(newer: int, older: int, bits: int) -> bool:
    """Whether `newer` comes after `older` in a space of `bits` bits."""
    return serial_distance(newer, older, bits) > 0


@attrs.define
class Unwrapper:
    """Turns wrapped numbers into ones that never wrap.

    Attributes:
        bits: width of the wrapped number.
        last: the highest unwrapped number seen, None before the first.
    """

    bits: int
    last: int | None = None
    _half: int = attrs.field(init=False, default=attrs.Factory(lambda self: 1 << self.bits - 1, takes_self=True))
    _mask: int = attrs.field(init=False, default=attrs.Factory(lambda self: (1 << self.bits) - 1, takes_self=True))

    def unwrap(self, wrapped: int) -> int:
        """Return the number nearest to the highest one seen, and remember the highest.

        May be negative for what came before the first number and was sent before the space wrapped.
        """
        last = self.last
        if last is None:
            self.last = wrapped
            return wrapped
        # As `peek`, without a call: this runs for every packet of a call.
        ahead = wrapped - last & self._mask
        if ahead < self._half:
            self.last = number = last + ahead
            return number
        return last + ahead - self._mask - 1

    def peek(self, wrapped: int) -> int:
        """Return the number nearest to the highest one seen, and remember nothing."""
        last = self.last
        if last is None:
            return wrapped
        half = self._half
        return last + ((wrapped - last + half) & (half << 1) - 1) - half
