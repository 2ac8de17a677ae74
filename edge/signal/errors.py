"""How each refusal is worded: what is wrong, and what would be right."""

import math

from edge.http.errors import error_response
from edge.http.messages import Response

__all__ = [
    "FRAGMENT_TYPE",
    "OFFER_TYPES",
    "RequestRefused",
    "api_key_needed",
    "call_id_not_found",
    "foreign_host",
    "foreign_origin",
    "ice_session_changed",
    "invalid_api_key",
    "invalid_fragment",
    "invalid_offer",
    "invalid_request",
    "keyless_is_local",
    "minting_needs_a_key",
    "model_not_allowed",
    "no_sip_call",
    "not_owner",
    "session_locked",
    "token_expired",
    "too_many",
    "try_later",
    "unsupported_content_type",
    "unsupported_patch_type",
]

OFFER_TYPES = "application/sdp, multipart/form-data, application/json"
"""The types in which an offer may come, for `Accept-Post`."""

FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"
"""The type in which a client's ICE changes may come, for `Accept-Patch`."""

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="trio-voice"'),)


class RequestRefused(Exception):  # noqa: N818 - named for what happened to the request
    """The request ends here, with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def invalid_offer(reason: str) -> RequestRefused:
    """The body is no offer that can be answered."""
    return RequestRefused(error_response(400, "invalid_offer", f"The offer cannot be answered: {reason}", param="sdp"))


def invalid_request(message: str, *, code: str = "invalid_request", param: str | None = None) -> RequestRefused:
    """The body does not say what it should.

    Args:
        message: what is wrong, and what would be right.
        code: a narrower word than the usual one, where there is one.
        param: the field that is wrong.
    """
    return RequestRefused(error_response(400, code, message, param=param))


def unsupported_content_type(media_type: str, wanted: str = OFFER_TYPES) -> RequestRefused:
    """The body is of a type that cannot hold what is wanted."""
    message = f"Send {wanted.replace(', ', ' or ')}, not {media_type[:100] or 'a body without a Content-Type'}."
    headers = (("Accept-Post", wanted),)
    return RequestRefused(error_response(415, "unsupported_content_type", message, headers=headers))


def unsupported_patch_type(media_type: str) -> RequestRefused:
    """The body of a PATCH is no SDP fragment."""
    message = f"Send {FRAGMENT_TYPE}, not {media_type[:100] or 'a body without a Content-Type'}."
    # RFC 5789 §2.2: the response SHOULD say what would be understood.
    headers = (("Accept-Patch", FRAGMENT_TYPE),)
    return RequestRefused(error_response(415, "unsupported_content_type", message, headers=headers))


def invalid_fragment(reason: str) -> RequestRefused:
    """The body of a PATCH is no fragment that can be used."""
    return RequestRefused(error_response(400, "invalid_fragment", f"The fragment cannot be used: {reason}"))


def ice_session_changed(message: str) -> RequestRefused:
    """A PATCH is about other ICE credentials than the call has."""
    return RequestRefused(error_response(412, "ice_session_changed", message))


def invalid_api_key() -> RequestRefused:
    """No key was shown, or none of ours."""
    message = "Show an API key or a client secret of this server: Authorization: Bearer KEY."
    return RequestRefused(error_response(401, "invalid_api_key", message, headers=_CHALLENGE))


def token_expired() -> RequestRefused:
    """A client secret was good once."""
    message = "The client secret has expired. Mint another one."
    return RequestRefused(error_response(401, "token_expired", message, headers=_CHALLENGE))


def api_key_needed() -> RequestRefused:
    """A client secret was shown for what takes an API key."""
    message = "A client secret makes calls and nothing else. Show an API key."
    return RequestRefused(error_response(403, "api_key_needed", message))


def minting_needs_a_key() -> RequestRefused:
    """The key bundle of this node has nothing to mint with."""
    message = (
        "This server cannot mint client secrets: its key bundle was written by an earlier version. "
        "`trio-voice keys update DIR` writes it again."
    )
    # Clients of the OpenAI API try again after a 5xx unless they are told not to.
    return RequestRefused(error_response(501, "no_client_secret_key", message, headers=(("X-Should-Retry", "false"),)))


def model_not_allowed(message: str) -> RequestRefused:
    """The model is another one than the caller may use, or than any backend answers for."""
    return RequestRefused(error_response(403, "model_not_allowed", message, param="model"))


def session_locked() -> RequestRefused:
    """A call made with a locked client secret came with a configuration of its own."""
    message = "The client secret fixes the session configuration: make the call without one."
    return RequestRefused(error_response(403, "session_locked", message, param="session"))


def keyless_is_local() -> RequestRefused:
    """A server without keys was asked from another machine."""
    message = "This server has no API keys and serves only its own machine, directly. Configure signal.api_keys."
    return RequestRefused(error_response(403, "keyless_serves_loopback_only", message))


def foreign_host(host: str) -> RequestRefused:
    """The Host header is not ours."""
    message = f"Host {host[:100]!r} is not a name of this server. Add it to signal.allowed_hosts if it should be."
    return RequestRefused(error_response(403, "host_not_allowed", message))


def foreign_origin(origin: str) -> RequestRefused:
    """A page of another origin asks."""
    message = f"Pages of {origin[:100]!r} may not call here. Add it to signal.allowed_origins if they should."
    return RequestRefused(error_response(403, "origin_not_allowed", message))


def call_id_not_found() -> RequestRefused:
    """There is no such call."""
    message = "No session found for the provided call_id."
    return RequestRefused(error_response(404, "call_id_not_found", message, param="call_id"))


def no_sip_call() -> RequestRefused:
    """Something was asked that only the calls of telephone trunks understand."""
    message = "No SIP session found for the provided call_id: a WebRTC call is accepted with the answer to its offer."
    return RequestRefused(error_response(404, "call_id_not_found", message, param="call_id"))


def not_owner() -> RequestRefused:
    """Somebody else's call."""
    message = "The call was made with another API key."
    return RequestRefused(error_response(403, "not_owner", message, param="call_id"))


def too_many(message: str, retry_after: float) -> RequestRefused:
    """The caller has used up what it may; `retry_after` as for `try_later`."""
    return RequestRefused(error_response(429, "rate_limit_exceeded", message, headers=_retry_headers(retry_after)))


def try_later(code: str, message: str, retry_after: float) -> RequestRefused:
    """Nothing is wrong with the request, only with the moment.

    Args:
        code: what is missing at the moment.
        message: the same in words.
        retry_after: seconds after which a new try makes sense; clients of the OpenAI API wait that long by themselves.
    """
    return RequestRefused(error_response(503, code, message, headers=_retry_headers(retry_after)))


def no_permitted_region(retry_after: float) -> RequestRefused:
    """The call may be only in regions that can take none now; which these are is the operator's business."""
    return try_later("no_permitted_region", "No region that this call may be in takes calls now.", retry_after)


def _retry_headers(seconds: float) -> tuple[tuple[str, str], ...]:
    return ("Retry-After", str(math.ceil(seconds))), ("Retry-After-Ms", str(math.ceil(seconds * 1000)))
