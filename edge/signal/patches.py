"""What a PATCH of a call says: an SDP fragment, and the entity tag that the client believes the call to have.

What it means is the transceiver's to say (`transceiver.ice_updates`); here it is only read. Lenient as clients need it:

| client                 | tag                                                   |
|------------------------|-------------------------------------------------------|
| RFC 9725               | `If-Match: "tag"`, or `*` for an ICE restart          |
| whip-whep              | none where the page could not read our `ETag`         |
| @eyevinn/whip-web-client | `ETag: "tag"` as a header of the request            |
"""

from edge.http.messages import Request
from edge.signal import errors
from transceiver.calls import IceUpdate

__all__ = ["read_patch"]


def read_patch(request: Request) -> IceUpdate:
    """Read a request's body and tag; relay addresses are not in it.

    Raises:
        RequestRefused: the type is another one, or the body is no text.
    """
    if request.media_type != errors.FRAGMENT_TYPE:
        raise errors.unsupported_patch_type(request.media_type)
    try:
        fragment = request.body.decode()
    except UnicodeDecodeError as error:
        raise errors.invalid_fragment(f"it is not UTF-8 at byte {error.start}.") from error
    headers = request.headers
    tag = headers.get("if-match") or headers.get("etag")
    return IceUpdate(fragment=fragment, tag=_read_tag(tag))


def _read_tag(header: str | None) -> str | None:
    """Take the quotes off; a list of tags names none that we could compare, and is left as it is."""
    if header is None or not header.strip():
        return None
    # RFC 9110 §13.1.1: If-Match compares strongly, so a weak tag (W/"…") never matches; it keeps its prefix here.
    tag = header.strip()
    if len(tag) >= 2 and tag[0] == tag[-1] == '"':
        return tag[1:-1]
    return tag
