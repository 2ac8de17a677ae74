"""How long the datagrams are: all of 120 bytes, or a recorded mix of Opus packets."""

from pathlib import Path

import attrs

__all__ = ["OPUS_MIX", "PAYLOAD_120", "Sizes"]

_RECORDED = Path(__file__).with_name("opus_sizes.txt")

_AROUND_OPUS = 12 + 4 + 12 + 16
"""RTP's header; header extensions as Chrome sends them (audio level, transport-wide number, mid, send time: 12 bytes
and 4 in front); the tag of AES-GCM."""


@attrs.frozen
class Sizes:
    """Sizes of the clients' datagrams, which follow each other in turn.

    Attributes:
        name: for people.
        sizes: in bytes.
    """

    name: str
    sizes: tuple[int, ...] = attrs.field(repr=False)

    def write(self, folder: Path) -> Path:
        """Write them down as `load.c` reads them, and return where."""
        path = folder / f"{self.name.replace(' ', '-')}.sizes"
        path.write_text("\n".join(map(str, self.sizes)))
        return path


def _recorded() -> tuple[int, ...]:
    lines = (line for line in _RECORDED.read_text().splitlines() if not line.startswith("#"))
    return tuple(int(word) + _AROUND_OPUS for line in lines for word in line.split())


PAYLOAD_120 = Sizes("120 bytes", (120,))
OPUS_MIX = Sizes("Opus mix", _recorded())
