"""Type, length, value: how parameters and error causes are written behind one another.

    |             Type              |   Length: header and value    |
    |              Value, zeros to the next 32-bit word             |

Source: RFC 9260 §3.2.1 (parameters) and §3.3.10 (causes).
"""

from collections.abc import Iterator

from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["read_all", "write"]

HEADER_LENGTH = 4


def read_all(reader: Reader, name: str) -> Iterator[tuple[int, Reader]]:
    """Go through all that is left in `reader`.

    Args:
        reader: the rest of a chunk.
        name: "parameter" or "cause", for what is said about a malformed one.

    Yields:
        A type, and a reader over its value.

    Raises:
        MalformedError: a length is smaller than a header, or larger than what is left.
    """
    while len(reader):
        item_type = reader.u16(f"{name} type")
        at = reader.offset
        length = reader.u16(f"{name} length")
        if length < HEADER_LENGTH:
            raise MalformedError(f"{name} length", at, f"{length} is less than its header")
        yield item_type, reader.sub(length - HEADER_LENGTH, f"{name} value")
        # RFC 9260 §3.2: a chunk is accepted whether or not its length counts the padding of its last parameter.
        # RFC 9260 §3.2.1: the receiver MUST ignore the padding bytes.
        if len(reader):
            reader.skip(-length % 4, f"{name} padding")


def write(writer: Writer, item_type: int, value: Writer) -> None:
    """Write one behind others.

    Raises:
        LocalProtocolError: the value does not fit.
    """
    # RFC 9260 §3.2: the length of a chunk counts the padding of its parameters, but not of the last one; so each is
    # padded only when another one follows. What comes before the first one in a chunk is made of words.
    writer.pad(4).u16(item_type, "type").u16(HEADER_LENGTH + len(value), "length").octets(value.finish())
