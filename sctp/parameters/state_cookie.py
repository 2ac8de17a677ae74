"""State Cookie, parameter type 7: what the answering side knows, kept by the other one.

    |            Type=7             |            Length             |
    |                            Cookie                            ..

Source: RFC 9260 §3.3.3.1.1 and §5.1.3.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["StateCookie"]


@attrs.frozen(kw_only=True)
class StateCookie:
    """The state of an association that nobody has allocated yet.

    Attributes:
        cookie: opaque to everybody but its maker, who authenticates it.
    """

    TYPE: ClassVar[int] = 7

    cookie: bytes

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(cookie=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.cookie)
