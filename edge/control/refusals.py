"""How the transceiver words what it refuses, for the client of the control API to read."""

import math

from edge.http.errors import error_response
from edge.http.messages import Response
from transceiver.calls import ModelNotAllowed, Overloaded, WorkerUnreachable

__all__ = ["call_not_found", "model_not_allowed", "not_owner", "overloaded", "worker_unreachable"]


def call_not_found() -> Response:
    """There is no such call here."""
    return error_response(404, "call_id_not_found", "There is no such call.", param="call_id")


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
