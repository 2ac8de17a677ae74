"""Minting client secrets, in the shapes of the GA and of the beta API.

| path                     | body                                                 | answer                             |
|--------------------------|------------------------------------------------------|------------------------------------|
| `client_secrets`         | `{session, expires_after, max_call, locked}`         | `{value, expires_at, session}`     |
| `sessions`               | a session's fields, `client_secret: {expires_after}` | the same, `value` and `expires_at` |
|                          |                                                      | in `client_secret`                 |
| `transcription_sessions` | as `sessions`                                        | as `sessions`                      |

All fields may be left out. `max_call` (seconds) and `locked` are ours; in the beta shape they stand in `client_secret`.
"""

from collections.abc import Callable, Mapping
from os import urandom

import attrs

from edge.http.messages import Request, Response, json_response
from edge.signal import errors
from edge.signal.bodies import read_json_object
from edge.signal.client_secrets import MAX_LENGTH, ClientSecret, ClientSecretKeys, SecretTooLong
from edge.signal.sessions import check_session

__all__ = ["MintingRoutes"]

_SHORTEST, _LONGEST, _USUAL = 10, 7200, 600  # seconds; those of the OpenAI API
_LONGEST_CALL = 86_400.0
_JSON = "application/json"
_OBJECTS = {"realtime": "realtime.session", "transcription": "realtime.transcription_session"}


@attrs.frozen(kw_only=True)
class _Terms:
    """What a client secret is minted with, beside its session configuration."""

    expires_at: int
    max_call: float | None
    is_locked: bool


class MintingRoutes:
    """The endpoints that mint; each is given the owner whose API key the request shows.

    Args:
        keys: seals client secrets; None for a node that cannot.
        unix_time: wall clock.
        report: takes a line for the log for each client secret.
    """

    def __init__(
        self,
        *,
        keys: ClientSecretKeys | None,
        unix_time: Callable[[], float],
        report: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self._keys = keys
        self._unix_time = unix_time
        self._report = report

    async def client_secret(self, request: Request, owner: str) -> Response:
        """`POST /v1/realtime/client_secrets`."""
        fields = _read_body(request)
        session = check_session(fields.get("session")) or {"type": "realtime"}
        terms = self._read_terms(fields, "")
        value = self._mint(request, owner, session, terms)
        answer = {"value": value, "expires_at": terms.expires_at, "session": _named(session)}
        return json_response(200, answer | _extras(terms))

    async def beta_session(self, request: Request, owner: str) -> Response:
        """`POST /v1/realtime/sessions`."""
        return self._beta(request, owner, "realtime")

    async def beta_transcription_session(self, request: Request, owner: str) -> Response:
        """`POST /v1/realtime/transcription_sessions`."""
        return self._beta(request, owner, "transcription")

    def _beta(self, request: Request, owner: str, kind: str) -> Response:
        fields = _read_body(request)
        wanted = fields.pop("client_secret", None)
        if not isinstance(wanted, dict | None):
            raise errors.invalid_request("client_secret is not a JSON object.", param="client_secret")
        session = check_session({"type": kind} | fields)
        terms = self._read_terms(wanted or {}, "client_secret.")
        value = self._mint(request, owner, session, terms)
        answer = {"id": _new_id(), "object": _OBJECTS[str(session["type"])]} | fields
        answer["client_secret"] = {"value": value, "expires_at": terms.expires_at} | _extras(terms)
        return json_response(200, answer)

    def _mint(self, request: Request, owner: str, session: Mapping[str, object], terms: _Terms) -> str:
        if self._keys is None:
            raise errors.minting_needs_a_key()
        secret = ClientSecret(
            owner=owner,
            expires_at=terms.expires_at,
            session=session,
            max_call=terms.max_call,
            is_locked=terms.is_locked,
        )
        try:
            value = self._keys.mint(secret)
        except SecretTooLong as error:
            message = (
                f"The session does not fit into a client secret, which travels in a header: it would have "
                f"{error.length} characters and may have {MAX_LENGTH}. Shorten its instructions or tools, or send the "
                "session with the call."
            )
            raise errors.invalid_request(message, code="session_too_large", param="session") from error
        facts = {"request": request.id, "expires_at": secret.expires_at, "model": secret.model}
        self._report("client-secret-minted", facts)
        return value

    def _read_terms(self, fields: Mapping[str, object], prefix: str) -> _Terms:
        return _Terms(
            expires_at=int(self._unix_time()) + _lifetime(fields.get("expires_after"), f"{prefix}expires_after"),
            max_call=_max_call(fields.get("max_call"), f"{prefix}max_call"),
            is_locked=_is_locked(fields.get("locked"), f"{prefix}locked"),
        )


def _read_body(request: Request) -> dict[str, object]:
    if request.media_type not in {_JSON, ""}:
        raise errors.unsupported_content_type(request.media_type, _JSON)
    return read_json_object(request.body, "the body") if request.body else {}


def _lifetime(value: object, param: str) -> int:
    if value is None:
        return _USUAL
    if not isinstance(value, dict):
        raise errors.invalid_request(f"{param} is not a JSON object.", param=param)
    if value.get("anchor", "created_at") != "created_at":
        raise errors.invalid_request(f'{param}.anchor can only be "created_at".', param=f"{param}.anchor")
    seconds = value.get("seconds", _USUAL)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not _SHORTEST <= seconds <= _LONGEST:
        message = f"{param}.seconds is a whole number from {_SHORTEST} to {_LONGEST}."
        raise errors.invalid_request(message, param=f"{param}.seconds")
    return seconds


def _max_call(value: object, param: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= _LONGEST_CALL:
        message = f"{param} is a number of seconds from 1 to {_LONGEST_CALL:g}."
        raise errors.invalid_request(message, param=param)
    return float(value)


def _is_locked(value: object, param: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise errors.invalid_request(f"{param} is true or false.", param=param)


def _named(session: Mapping[str, object]) -> dict[str, object]:
    """Return a session as clients expect it; the id names nothing, as sessions begin with a call."""
    kind = str(session["type"])
    return {"id": _new_id(), "object": _OBJECTS[kind], **session}


def _extras(terms: _Terms) -> dict[str, object]:
    extras: dict[str, object] = {}
    if terms.max_call is not None:
        extras["max_call"] = terms.max_call
    if terms.is_locked:
        extras["locked"] = True
    return extras


def _new_id() -> str:
    return "sess_" + urandom(12).hex()
