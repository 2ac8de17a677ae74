"""Names for what a bridge makes."""

from wire.core import Entropy

__all__ = ["Identifiers"]


class Identifiers:
    """Makes identifiers that no other session makes: a random part that is drawn once, and a counter.

    Args:
        entropy: for the random part.
    """

    __slots__ = ("_count", "_random")

    def __init__(self, entropy: Entropy) -> None:
        self._random = entropy(8).hex()
        self._count = 0

    def fresh(self, kind: str) -> str:
        """Return a new identifier that begins with its kind ("event", "item", "sess")."""
        self._count += 1
        return f"{kind}_{self._random}{self._count:04x}"
