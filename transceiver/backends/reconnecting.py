"""How often a lost backend is tried again, and how long is waited in between."""

import attrs

__all__ = ["ReconnectPolicy", "Reconnecting"]


@attrs.frozen(kw_only=True)
class ReconnectPolicy:
    """Times in seconds.

    Attributes:
        max_attempts: in a row; 0 for a backend that is not tried again.
        first_delay: before the first attempt.
        factor: by which each further delay is longer.
        max_delay: the longest.
        jitter: share of a delay by which it may be shorter, so that the calls of a backend that was restarted do not
            all come back in the same moment.
        stable_after: how long a connection must hold before its loss is the first of a new row.
    """

    max_attempts: int = 5
    first_delay: float = 0.5
    factor: float = 2.0
    max_delay: float = 8.0
    jitter: float = 0.5
    stable_after: float = 30.0


class Reconnecting:
    """The attempts of one call.

    Args:
        policy: the bounds.
    """

    def __init__(self, policy: ReconnectPolicy) -> None:
        self._policy = policy
        self._attempts = 0
        self._opened_at: float | None = None

    def opened(self, now: float) -> None:
        """The backend has accepted a connection."""
        self._opened_at = now

    def lost(self, now: float, entropy: bytes, *, is_final: bool = False) -> float | None:
        """The connection, or an attempt at one, is lost.

        Args:
            now: monotonic seconds.
            entropy: one byte, for the jitter.
            is_final: whether the backend would say the same again (`BackendRefused`).

        Returns:
            Seconds to wait before the next attempt; None when there is to be none.
        """
        policy = self._policy
        if self._opened_at is not None and now - self._opened_at >= policy.stable_after:
            self._attempts = 0
        self._opened_at = None
        if is_final or self._attempts >= policy.max_attempts:
            return None
        delay = min(policy.max_delay, policy.first_delay * policy.factor**self._attempts)
        self._attempts += 1
        return delay * (1 - policy.jitter * entropy[0] / 256)
