"""What can be set about a bridge, and what must be known of a backend, with the reason for each default."""

from collections.abc import Mapping

import attrs

__all__ = ["BackendProfile", "BridgeOptions", "EventLimits"]


@attrs.frozen(kw_only=True)
class BackendProfile:
    """What one kind of backend understands of the Realtime protocol.

    The defaults fit a server that speaks the core of the protocol; a backend that knows more gets more by naming less.

    Attributes:
        input_rate: sample rate in Hz of what the backend hears.
        output_rate: of what it speaks.
        is_told_formats: whether the audio formats are written into each session configuration.
        unsupported_fields: session fields that the backend does not know, with dots between levels
            ("audio.input.noise_reduction"). `model` is never sent: it is chosen when connecting, and stock clients
            always send the name of OpenAI's default.
        turn_detection_types: which `turn_detection.type` it knows.
        turn_detection_fallback: what an unknown type becomes; None leaves the setting out.
        voices: the backend's name for a voice, by the name that clients use.
        default_voice: what a voice becomes that is not in `voices`; None passes it on as it is.
        cancels_on_speech: whether it cancels its response itself when the caller starts to speak.
        truncates: whether it knows `conversation.item.truncate`; otherwise the client is answered for it.
        retrieves: whether it knows `conversation.item.retrieve`; otherwise the client is answered for it.
        acknowledges_updates: whether it answers `session.update`; otherwise the client is answered at once.
        hears_dtmf: whether it wants the caller's digits as `input_audio_buffer.dtmf_event_received`, which is an
            event of ours that OpenAI refuses.
    """

    input_rate: int = 24000
    output_rate: int = 24000
    is_told_formats: bool = True
    unsupported_fields: frozenset[str] = frozenset(
        {"tracing", "prompt", "include", "truncation", "reasoning", "audio.input.noise_reduction"}
    )
    turn_detection_types: frozenset[str] = frozenset({"server_vad", "none"})
    turn_detection_fallback: str | None = "server_vad"
    voices: Mapping[str, str] = attrs.field(factory=dict)
    default_voice: str | None = None
    cancels_on_speech: bool = True
    truncates: bool = True
    retrieves: bool = True
    acknowledges_updates: bool = True
    hears_dtmf: bool = False


@attrs.frozen(kw_only=True)
class EventLimits:
    """How much a client or a sideband may send.

    Attributes:
        max_length: longest text, in characters. A conversation item may hold a picture.
        max_depth: how deep its arrays and objects may lie in each other; schemas of tools are the deepest in practice.
        events_per_second: how many texts are read, over a while.
        burst: how many may come at once. A client with a page full of history sends it in one go.
        errors_per_second: how many errors are told, over a while; the others are counted.
        error_burst: how many may be told at once.
    """

    max_length: int = 1_000_000
    max_depth: int = 64
    events_per_second: float = 100.0
    burst: int = 500
    errors_per_second: float = 5.0
    error_burst: int = 20


@attrs.frozen(kw_only=True)
class BridgeOptions:
    """How a bridge behaves.

    Attributes:
        backend: what the backend understands.
        append_ms: milliseconds of audio in one piece to the backend, 20 to 100. Less delays less, and costs an event
            each.
        update_timeout: seconds after which a `session.update` is answered though the backend has not: the stock client
            gives up waiting after 5 s, and does not connect before.
        configuration_grace: seconds after its channel opened in which a client may send its first `session.update`;
            then the backend hears the caller anyway. Clients send it in the same round trip.
        channel_grace: seconds after the caller's first audio in which the channel may open; then the backend hears the
            caller anyway.
        playout_delay: seconds between our sending a frame and its being heard, until it is measured: half a round trip
            and the client's jitter buffer.
        client_events: names of the client events that the client may send, "response.*" for all that begin so; None
            for all. Audio is never taken from events. Sidebands may send all.
        server_events: names of the server events that the client gets; None for all. `session.created` and `error`
            always come. Sidebands get all.
        hides_configuration: whether instructions, tools, tool choice and prompt are kept from the client. So they are
            in a locked call, too.
        forwards_unknown: whether a client event of a type that nobody here knows may go to the backend; its name must
            look like one and must not lie in a family that is known (see `client_events`).
        limits: how much a client may send; each sideband may send as much.
        max_client_message: longest message in bytes that the client takes (`a=max-message-size`).
        max_sidebands: how many may be attached at a time.
        max_held_events: how many client events wait for the backend to connect.
        max_backlog: how many server events wait for the client's channel to open.
        max_items: how many items of the conversation are remembered, the newest.
        max_item_length: how many characters of each.
    """

    backend: BackendProfile = BackendProfile()
    append_ms: int = attrs.field(default=40, validator=[attrs.validators.ge(20), attrs.validators.le(100)])
    update_timeout: float = 3.0
    configuration_grace: float = 1.0
    channel_grace: float = 3.0
    playout_delay: float = 0.1
    client_events: frozenset[str] | None = None
    server_events: frozenset[str] | None = None
    hides_configuration: bool = False
    forwards_unknown: bool = True
    limits: EventLimits = EventLimits()
    max_client_message: int = 262_144
    max_sidebands: int = 8
    max_held_events: int = 64
    max_backlog: int = 256
    max_items: int = 200
    max_item_length: int = 8_000
