"""multipart/form-data (RFC 7578): the fields of a form, as browsers and the OpenAI clients send them.

Only what a form needs of RFC 2046 is here, so nothing nests: a part that says it is multipart itself is a field like
any other. Headers of parts, with their quoting, are read by the standard library.
"""

from email.message import Message
from email.parser import BytesHeaderParser

from edge.signal import errors

__all__ = ["read_form"]

_MAX_PARTS = 16
_MAX_BOUNDARY = 70  # RFC 2046 §5.1.1: "no longer than 70 characters"
_PLAIN_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})


def read_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """Read the fields of a form.

    Args:
        content_type: the request's Content-Type, which names the boundary.
        body: the content.

    Returns:
        The content of each part by its name, in the order sent. File names and content types of parts are not looked
        at: clients differ, and what a field holds follows from its name.

    Raises:
        RequestRefused: it is broken; the message says where.
    """
    fields: dict[str, bytes] = {}
    for number, part in enumerate(_parts(_boundary(content_type), body), 1):
        # RFC 2046 §5.1: a part without header fields begins with the empty line.
        head, found, content = (b"\r\n" + part).partition(b"\r\n\r\n")
        if not found:
            raise _broken(f"part {number} has no empty line between its headers and its content")
        headers = BytesHeaderParser().parsebytes(head.removeprefix(b"\r\n"))
        name = _name_of(headers)
        if name is None:
            raise _broken(f'part {number} has no name: Content-Disposition: form-data; name="sdp"')
        if name in fields:
            raise _broken(f"there is more than one part named {name[:40]!r}", param=name[:40])
        # RFC 7578 §4.7: the header is deprecated and senders "SHOULD NOT" use it.
        if str(headers.get("content-transfer-encoding", "")).strip().lower() not in _PLAIN_ENCODINGS:
            raise _broken(f"part {name[:40]!r} has a Content-Transfer-Encoding; send it as it is", param=name[:40])
        fields[name] = content
    return fields


def _boundary(content_type: str) -> bytes:
    headers = Message()
    headers["content-type"] = content_type
    boundary = headers.get_boundary()
    if not boundary:
        raise _broken("the Content-Type names no boundary")
    if len(boundary) > _MAX_BOUNDARY:
        raise _broken(f"the boundary has more than {_MAX_BOUNDARY} characters")
    return boundary.encode("latin-1", "replace")


def _parts(boundary: bytes, body: bytes) -> list[bytes]:
    # RFC 2046 §5.1.1: the line break before a delimiter belongs to the delimiter; before the first one there may be
    # none. What stands before the first and behind the last delimiter is to be ignored.
    delimiter = b"\r\n--" + boundary
    pieces = (b"\r\n" + body).split(delimiter, _MAX_PARTS + 2)
    if len(pieces) == 1:
        raise _broken("its boundary is nowhere in the body")
    parts: list[bytes] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return parts
        padding, found, part = piece.partition(b"\r\n")
        if not found or padding.strip(b" \t"):
            raise _broken(f"a boundary is not followed by a line break, before part {len(parts) + 1}")
        parts.append(part)
        if len(parts) > _MAX_PARTS:
            raise _broken(f"it has more than {_MAX_PARTS} parts")
    raise _broken("its last boundary, which ends in two hyphens, is missing")


def _name_of(headers: Message) -> str | None:
    # RFC 7578 §4.2: each part MUST have a Content-Disposition of type "form-data" with a name.
    if headers.get_content_disposition() != "form-data":
        return None
    name = headers.get_param("name", header="content-disposition")
    return name if isinstance(name, str) else None


def _broken(reason: str, param: str | None = None) -> errors.RequestRefused:
    return errors.invalid_request(f"The form cannot be read: {reason}.", code="invalid_multipart", param=param)
