"""How the transceiver words what it refuses, for the client of the control API to read."""

import math

import attrs

from edge.http.errors import error_response
from edge.http.messages import Response, json_response
from transceiver.calls import CallMoved, ModelNotAllowed, Overloaded, WorkerUnreachable

__all__ = [
    "call_moved",
    "call_not_found",
    "fragment_refused",
    "ice_session_changed",
    "model_not_allowed",
    "not_owner",
    "overloaded",
    "worker_unreachable",
]


def call_not_found() -> Response:
    """There is no such call here."""
    return error_response(404, "call_id_not_found", "There is no such call.", param="call_id")


def call_moved(moved: CallMoved) -> Response:
    """Another transceiver has the call now."""
    message = "The call was handed over to another transceiver."
    error = {"message": message, "type": "invalid_request_error", "code": "call_moved", "param": "call_id"}
    # RFC 9110 §15.5.20: 421 is for a request that went to who cannot answer it, and may be sent to another.
    return json_response(421, {"error": error, "moved_to": attrs.asdict(moved)})


def fragment_refused(reason: str) -> Response:
    """The SDP fragment cannot be used."""
    return error_response(400, "invalid_fragment", reason, param="fragment")


def ice_session_changed(reason: str) -> Response:
    """The fragment is about other ICE credentials."""
    return error_response(412, "ice_session_changed", reason, param="tag")


def not_owner() -> Response:
    """Somebody else's call."""
    return error_response(403, "not_owner", "The call was made with another key.", param="owner")


def model_not_allowed(refusal: ModelNotAllowed) -> Response:
    """No backend answers for the model."""
    message = f"No backend answers for the model {refusal.model!r}."
    return error_response(403, "model_not_allowed", message, param="model")


def overloaded(refusal: Overloaded) -> Response:
    """No further call or connection is taken now."""
    headers = (
        ("Retry-After", str(math.ceil(refusal.retry_after))),
        ("Retry-After-Ms", str(math.ceil(refusal.retry_after * 1000))),
    )
    return error_response(503, "overloaded", "No further call is taken now.", headers=headers)


def worker_unreachable(failure: WorkerUnreachable) -> Response:
    """The process that has the call gives no answer."""
    return error_response(503, "worker_unreachable", str(failure))
