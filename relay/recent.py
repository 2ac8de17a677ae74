"""What is remembered for a moment: at most so many things, none longer than so many seconds, the oldest out first."""

from typing import Generic, TypeVar

__all__ = ["Recent"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Recent(Generic[_Key, _Value]):
    """Values that were kept lately, by key.

    Args:
        life: how long each is kept, in seconds.
        limit: how many are kept.
    """

    def __init__(self, *, life: float, limit: int) -> None:
        self._life = life
        self._limit = limit
        self._entries: dict[_Key, tuple[float, _Value]] = {}

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._entries)

    def keep(self, key: _Key, value: _Value, now: float) -> None:
        """Keep a value from now on, instead of what the key had."""
        entries = self._entries
        entries.pop(key, None)
        while entries:
            oldest = next(iter(entries))
            if now < entries[oldest][0] and len(entries) < self._limit:
                break
            del entries[oldest]
        entries[key] = (now + self._life, value)

    def get(self, key: _Key, now: float) -> _Value | None:
        """The value of a key; None if it is not kept, or not any more."""
        entry = self._entries.get(key)
        return None if entry is None or now >= entry[0] else entry[1]

    def take(self, key: _Key, now: float) -> _Value | None:
        """The value of a key, which is forgotten with that."""
        value = self.get(key, now)
        self.forget(key)
        return value

    def forget(self, key: _Key) -> None:
        """Forget a key."""
        self._entries.pop(key, None)
