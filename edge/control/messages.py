"""The JSON of the control API, read and written.

Reading is strict: a field that is missing or of another type is an error that names it. What is not known is ignored,
so that either end may be updated first.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import TypeVar

import attrs

from transceiver.calls import NO_WISHES, AnswerIngress, CallMoved, CallWishes, CreatedCall, IceUpdate, IceUpdated
from transceiver.round_trips import LATEST, LossSample, RoundTripSample

__all__ = [
    "WISHES_HEADER",
    "BadMessage",
    "CallRequest",
    "TransceiverStatus",
    "decode_wishes",
    "encode_wishes",
    "ice_update_to_json",
    "ice_updated_to_fields",
    "read_created_call",
    "read_ice_update",
    "read_ice_updated",
    "read_moved_to",
    "read_object",
    "read_wishes",
    "wishes_to_fields",
]

Field = TypeVar("Field", str, int, bool, list[object], dict[str, object])


WISHES_HEADER = "Trio-Voice-Wishes"
"""Carries wishes with the request for a socket, which has no content of its own."""


class BadMessage(ValueError):  # noqa: N818 - named for what came, like an HTTP reason
    """The JSON does not say what it should; the text names the field."""


@attrs.frozen(kw_only=True)
class CallRequest:
    """What signal asks a transceiver for.

    Attributes:
        offer: the client's SDP.
        owner: digest of the key that the caller showed; empty without keys.
        ingresses: relay addresses for the answer, the preferred one first.
        wishes: what else the caller asked for.
    """

    offer: str
    owner: str
    ingresses: tuple[AnswerIngress, ...]
    wishes: CallWishes = NO_WISHES

    def to_json(self) -> bytes:
        """Write it."""
        fields = {"offer": self.offer, "owner": self.owner, "ingresses": _ingresses_to_fields(self.ingresses)}
        return json.dumps(fields | {"wishes": wishes_to_fields(self.wishes)}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "CallRequest":
        """Read it.

        Raises:
            BadMessage: a field is missing or wrong, or there is no ingress.
        """
        fields = read_object(data)
        ingresses = tuple(_read_ingress(each) for each in _take(fields, "ingresses", list))
        if not ingresses:
            raise BadMessage("ingresses: at least one is needed")
        return cls(
            offer=_take(fields, "offer", str),
            owner=_take(fields, "owner", str),
            ingresses=ingresses,
            wishes=read_wishes(_take(fields, "wishes", dict)) if "wishes" in fields else NO_WISHES,
        )


@attrs.frozen(kw_only=True)
class TransceiverStatus:
    """What a transceiver says about itself, as far as signal uses it.

    Attributes:
        cluster: number of its cluster.
        incarnation: random number of its process, by which call ids name it.
        calls: how many calls it has.
        max_calls: how many it takes; 0 when it does not say.
        is_ready: whether it takes calls.
        reason: why it does not.
        calls_by_owner: how many calls each owner has; empty when it does not say.
        round_trips: those that its calls have measured lately, the oldest first; at most `LATEST`.
        losses: what its calls have lost lately, likewise; empty when it does not say.
    """

    cluster: int
    incarnation: int
    calls: int = 0
    max_calls: int = 0
    is_ready: bool = True
    reason: str = ""
    calls_by_owner: Mapping[str, int] = attrs.field(factory=dict, repr=False)
    round_trips: tuple[RoundTripSample, ...] = attrs.field(default=(), repr=False)
    losses: tuple[LossSample, ...] = attrs.field(default=(), repr=False)

    @property
    def load(self) -> float:
        """Share of its capacity in use, 0 to 1; 0 when it does not say."""
        return min(1.0, self.calls / self.max_calls) if self.max_calls > 0 else 0.0

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> "TransceiverStatus":
        """Read it.

        Raises:
            BadMessage: a field is missing or wrong.
        """
        return cls(
            cluster=_take(fields, "cluster", int),
            incarnation=_take(fields, "incarnation", int),
            calls=_take(fields, "calls", int),
            max_calls=_take(fields, "max_calls", int) if "max_calls" in fields else 0,
            is_ready=_take(fields, "ready", bool),
            reason=_take(fields, "reason", str),
            calls_by_owner=_read_counts(_take(fields, "calls_by_owner", dict)) if "calls_by_owner" in fields else {},
            round_trips=_read_round_trips(_take(fields, "round_trips", list)) if "round_trips" in fields else (),
            losses=_read_losses(_take(fields, "losses", list)) if "losses" in fields else (),
        )


def wishes_to_fields(wishes: CallWishes) -> dict[str, object]:
    """Write what a caller asked for; what was not asked for is left out."""
    fields: dict[str, object] = {}
    if wishes.model is not None:
        fields["model"] = wishes.model
    if wishes.session:
        fields["session"] = wishes.session
    if wishes.max_call is not None:
        fields["max_call"] = wishes.max_call
    if wishes.is_locked:
        fields["locked"] = True
    if wishes.caller_network:
        fields["caller_network"] = wishes.caller_network
    if wishes.placed_because:
        fields["placed_because"] = list(wishes.placed_because)
    return fields


def read_wishes(fields: Mapping[str, object]) -> CallWishes:
    """Read what `wishes_to_fields` wrote.

    Raises:
        BadMessage: a field is wrong.
    """
    max_call = fields.get("max_call")
    if max_call is not None and (not isinstance(max_call, int | float) or isinstance(max_call, bool) or max_call <= 0):
        raise BadMessage("max_call: no number of seconds")
    return CallWishes(
        model=_take(fields, "model", str) if "model" in fields else None,
        session=_take(fields, "session", dict) if "session" in fields else {},
        max_call=None if max_call is None else float(max_call),
        is_locked=_take(fields, "locked", bool) if "locked" in fields else False,
        caller_network=_take(fields, "caller_network", str) if "caller_network" in fields else "",
        placed_because=_read_sentences(_take(fields, "placed_because", list)) if "placed_because" in fields else (),
    )


def encode_wishes(wishes: CallWishes) -> str:
    """Write wishes into the line of a header."""
    return base64.urlsafe_b64encode(json.dumps(wishes_to_fields(wishes)).encode()).decode()


def decode_wishes(header: str) -> CallWishes:
    """Read what `encode_wishes` wrote; nothing stands for no wishes.

    Raises:
        BadMessage: it is something else.
    """
    if not header:
        return NO_WISHES
    try:
        data = base64.b64decode(header, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage(f"{WISHES_HEADER}: not base64: {error}") from error
    return read_wishes(read_object(data))


def read_created_call(data: bytes) -> CreatedCall:
    """Read the answer to a `CallRequest`.

    Raises:
        BadMessage: a field is missing or wrong.
    """
    fields = read_object(data)
    return CreatedCall(
        call_id=_take(fields, "call_id", str),
        answer=_take(fields, "answer", str),
        ice_tag=_take(fields, "ice_tag", str) if "ice_tag" in fields else "",
    )


def ice_update_to_json(update: IceUpdate) -> bytes:
    """Write what a client says of its ICE."""
    fields: dict[str, object] = {"fragment": update.fragment, "ingresses": _ingresses_to_fields(update.ingresses)}
    if update.tag is not None:
        fields["tag"] = update.tag
    return json.dumps(fields).encode()


def read_ice_update(data: bytes) -> IceUpdate:
    """Read what `ice_update_to_json` wrote.

    Raises:
        BadMessage: a field is missing or wrong.
    """
    fields = read_object(data)
    return IceUpdate(
        fragment=_take(fields, "fragment", str),
        tag=_take(fields, "tag", str) if "tag" in fields else None,
        ingresses=tuple(_read_ingress(each) for each in _take(fields, "ingresses", list)),
    )


def ice_updated_to_fields(updated: IceUpdated) -> dict[str, object]:
    """Write what became of it."""
    return attrs.asdict(updated)


def read_ice_updated(data: bytes) -> IceUpdated:
    """Read what `ice_updated_to_fields` wrote.

    Raises:
        BadMessage: a field is missing or wrong.
    """
    fields = read_object(data)
    return IceUpdated(
        tag=_take(fields, "tag", str),
        fragment=_take(fields, "fragment", str),
        candidates=_take(fields, "candidates", int),
        unreadable=_take(fields, "unreadable", int),
        is_end=_take(fields, "is_end", bool),
    )


def read_moved_to(data: bytes) -> CallMoved:
    """Read where a call has gone, from the refusal that says so.

    Raises:
        BadMessage: a field is missing or wrong.
    """
    fields = _take(read_object(data), "moved_to", dict)
    return CallMoved(cluster=_take(fields, "cluster", int), incarnation=_take(fields, "incarnation", int))


def read_object(data: bytes) -> dict[str, object]:
    """Read a JSON object.

    Raises:
        BadMessage: it is something else.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadMessage("not a JSON object")
    return value


def _ingresses_to_fields(ingresses: Iterable[AnswerIngress]) -> list[dict[str, object]]:
    return [
        {"id": each.id, "host": each.host, "port": each.port, "priority": each.priority, "protocol": each.protocol}
        for each in ingresses
    ]


def _read_ingress(value: object) -> AnswerIngress:
    if not isinstance(value, dict):
        raise BadMessage("ingresses: each is an object")
    protocol = value.get("protocol", "udp")
    if protocol not in {"udp", "tcp"}:
        raise BadMessage("ingresses: protocol is neither udp nor tcp")
    return AnswerIngress(
        id=_take(value, "id", int),
        host=_take(value, "host", str),
        port=_take(value, "port", int),
        priority=_take(value, "priority", int),
        protocol=protocol,
    )


def _read_round_trips(values: list[object]) -> tuple[RoundTripSample, ...]:
    return tuple(_read_round_trip(each) for each in values[-LATEST:])


def _read_round_trip(value: object) -> RoundTripSample:
    match value:
        case [int(number), str(network), int(ingress), int() | float() as milliseconds]:
            return RoundTripSample(number, network, ingress, float(milliseconds))
        case _:
            raise BadMessage("round_trips: each is a number, a network, an ingress and milliseconds")


def _read_losses(values: list[object]) -> tuple[LossSample, ...]:
    return tuple(_read_loss(each) for each in values[-LATEST:])


def _read_loss(value: object) -> LossSample:
    match value:
        case [int(number), str(network), int(ingress), int() | float() as share]:
            return LossSample(number, network, ingress, float(share))
        case _:
            raise BadMessage("losses: each is a number, a network, an ingress and a share")


def _read_sentences(values: list[object]) -> tuple[str, ...]:
    if not all(isinstance(each, str) for each in values):
        raise BadMessage("placed_because: each is a sentence")
    return tuple(map(str, values))


def _read_counts(fields: Mapping[str, object]) -> dict[str, int]:
    return {owner: _take(fields, owner, int) for owner in fields}


def _take(fields: Mapping[str, object], name: str, kind: type[Field]) -> Field:
    value = fields.get(name)
    # JSON's true is no number, though Python's True is one.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadMessage(f"{name}: missing, or not of type {kind.__name__}")
    return value
