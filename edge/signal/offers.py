"""Offers, in each of the shapes that clients send them in.

| Content-Type          | content                              | sent by                                           |
|-----------------------|--------------------------------------|---------------------------------------------------|
| `application/sdp`     | SDP                                  | @openai/agents-realtime, browsers                 |
| `multipart/form-data` | fields `sdp` and `session`           | the OpenAI clients, when there is a configuration |
| `application/json`    | `{sdp, model, session}`              | clients of LocalAI and Inworld                    |
| `text/plain`, none    | SDP, told by its first bytes         | whoever forgot                                    |
"""

from collections.abc import Mapping

import attrs

from edge.http.messages import Request
from edge.signal import errors
from edge.signal.bodies import read_json_object
from edge.signal.multipart import read_form
from edge.signal.sessions import check_model, check_session

__all__ = ["Offer", "read_offer"]

_LENIENT_TYPES = frozenset({"", "text/plain"})
_SDP_BEGINS = "v=0"  # RFC 8866 §5.1: every description begins so


@attrs.frozen(kw_only=True)
class Offer:
    """What a request for a call says.

    Attributes:
        sdp: the client's description.
        session: session configuration that came with it; empty for none.
        model: the model asked for, by the body or in its session configuration; None for none.
        wants_json: whether the answer is to be JSON, as the offer was.
    """

    sdp: str
    session: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    model: str | None = None
    wants_json: bool = False


def read_offer(request: Request) -> Offer:
    """Read a request's body.

    Raises:
        RequestRefused: the type is another one, or the body is not what its type promises.
    """
    match request.media_type:
        case "multipart/form-data":
            return _of_form(read_form(request.headers["content-type"], request.body))
        case "application/json":
            return _of_fields(read_json_object(request.body, "the body"))
        case "application/sdp":
            return Offer(sdp=_check_sdp(_decode(request.body)))
        case media_type if media_type in _LENIENT_TYPES and request.body.startswith(_SDP_BEGINS.encode()):
            return Offer(sdp=_check_sdp(_decode(request.body)))
        case media_type:
            raise errors.unsupported_content_type(media_type)


def _of_form(fields: Mapping[str, bytes]) -> Offer:
    if "sdp" not in fields:
        raise errors.invalid_offer("the form has no part named sdp.")
    session = check_session(read_json_object(fields["session"], "session") if "session" in fields else None)
    return Offer(sdp=_check_sdp(_decode(fields["sdp"])), session=session, model=_model_of(session))


def _of_fields(fields: Mapping[str, object]) -> Offer:
    sdp = fields.get("sdp")
    if not isinstance(sdp, str):
        raise errors.invalid_offer("the JSON has no field sdp that is a string.")
    session = check_session(fields.get("session"))
    model = check_model(fields.get("model")) or _model_of(session)
    return Offer(sdp=_check_sdp(sdp), session=session, model=model, wants_json=True)


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise errors.invalid_offer(f"the SDP is not UTF-8 at byte {error.start}.") from error


def _check_sdp(text: str) -> str:
    if not text.startswith(_SDP_BEGINS):
        raise errors.invalid_offer("the SDP does not begin with v=0." if text else "the SDP is empty.")
    return text


def _model_of(session: Mapping[str, object]) -> str | None:
    return check_model(session.get("model"), "session.model")
