"""Cookie Received While Shutting Down, cause 10: too late to begin.

    |         Cause code=10         |         Cause length=4        |

Source: RFC 9260 §3.3.10.10.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["CookieReceivedWhileShuttingDown"]


@attrs.frozen(kw_only=True)
class CookieReceivedWhileShuttingDown:
    """Sent in an ERROR beside the SHUTDOWN ACK."""

    CODE: ClassVar[int] = 10

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value, which is empty.

        Raises:
            MalformedError: it is not.
        """
        value.finish("Cookie Received While Shutting Down")
        return cls()

    def serialize(self, value: Writer) -> None:
        """Write the value, which is empty."""
