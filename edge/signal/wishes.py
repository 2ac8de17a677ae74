"""What a call is to be like, of all that has a say in it.

The model is that of `?model=`, else of the request's body, else of the client secret, else the transceiver's default;
the session configuration is the client secret's with the request's over it. A locked client secret stands above both: a
request that asks for something else is refused, rather than answered with what it did not ask for.
"""

from edge.http.messages import Request
from edge.signal import errors
from edge.signal.access import Caller
from edge.signal.offers import Offer
from edge.signal.sessions import check_model, merge_sessions
from transceiver.calls import CallWishes

__all__ = ["choose_wishes"]


def choose_wishes(request: Request, offer: Offer | None, caller: Caller) -> CallWishes:
    """Put together what a call is to be like.

    Args:
        request: for its query.
        offer: what its body says; None for a request without one, as a WebSocket's.
        caller: who asks, perhaps with a client secret.

    Raises:
        RequestRefused: the model's name is none, or the client secret forbids what is asked for.
    """
    model = check_model(request.query.get("model")) or (offer.model if offer else None)
    session = dict(offer.session) if offer else {}
    secret = caller.secret
    if secret is None:
        return CallWishes(model=model, session=_without_model(session))
    if secret.is_locked:
        if any(value != secret.session.get(name) for name, value in session.items() if name != "model"):
            raise errors.session_locked()
        if model and secret.model and model != secret.model:
            raise errors.model_not_allowed(f"The client secret is for the model {secret.model!r} only.")
    return CallWishes(
        model=model or secret.model,
        session=_without_model(merge_sessions(secret.session, session)),
        max_call=secret.max_call,
        is_locked=secret.is_locked,
    )


def _without_model(session: dict[str, object]) -> dict[str, object]:
    # The model was chosen above; the configuration must not say another one.
    return {name: value for name, value in session.items() if name != "model"}
