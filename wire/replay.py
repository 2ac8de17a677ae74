"""The sliding window that refuses a packet number seen before.

Goal: an attacker who records an authentic packet and sends it again has no effect. Construction: the highest
accepted number and a bit for each of the `size` numbers up to it. `check` comes before the packet is
authenticated, `commit` after: a forged packet must not move the window (RFC 3711 §3.3.2, RFC 9147 §4.5.1).
"""

from typing import Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["ReplayWindow"]


@attrs.define
class ReplayWindow:
    """Remembers the last `size` packet numbers.

    Attributes:
        size: how many numbers are told apart; older ones are refused.
        highest: the highest number committed; -1 before the first.
        seen: bit i is set when `highest - i` was committed.
    """

    size: int = 128
    highest: int = -1
    seen: int = 0

    def check(self, number: int) -> bool:
        """Whether `number` is neither a repetition nor too old to tell."""
        if number > self.highest:
            return True
        age = self.highest - number
        return age < self.size and not (self.seen >> age) & 1

    def commit(self, number: int) -> None:
        """Remember `number`, whose packet was authentic."""
        ahead = number - self.highest
        if ahead > 0:
            self.seen = ((self.seen << ahead) | 1) & ((1 << self.size) - 1) if ahead < self.size else 1
            self.highest = number
        elif -ahead < self.size:
            self.seen |= 1 << -ahead

    def serialize(self, writer: Writer) -> None:
        """Write the window for a snapshot: the highest number plus one in 64 bits, then the bits behind a length."""
        writer.u64(self.highest + 1, "highest").vector(1, self.seen.to_bytes(self.size // 8, "big"), "seen")

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read what `serialize` wrote.

        Raises:
            MalformedError: it is cut short.
        """
        highest = reader.u64("highest") - 1
        seen = reader.vector(1, "seen").rest()
        return cls(size=len(seen) * 8, highest=highest, seen=int.from_bytes(seen, "big"))
