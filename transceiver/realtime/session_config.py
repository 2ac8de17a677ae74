"""The session's configuration: what callers want, what the backend is told, and what callers are shown.

Three views of one thing:

* **wanted**: what the request that made the call said (`CallWishes.session`), under what `session.update` said since.
* **told**: what the backend gets of that. Each backend refuses other fields, and stock clients send all of OpenAI's
  with every update; and audio travels to the backend in our format, whatever the client believes.
* **shown**: what the backend reports, under what was wanted: a client that asked for `semantic_vad` is shown
  `semantic_vad`, though the backend was given something else.
"""

from collections.abc import Mapping

import attrs

from transceiver.realtime.fields import Event, mapping_at, text_at
from transceiver.realtime.options import BackendProfile

__all__ = [
    "HIDDEN_FIELDS",
    "SessionConfiguration",
    "merge_session",
    "told_response",
    "told_session",
    "without_fields",
    "without_locked",
]

HIDDEN_FIELDS = frozenset({"instructions", "tools", "tool_choice", "prompt"})
"""What makes an agent what it is; kept from clients on request, and never theirs to change in a locked call."""

_NOT_SETTINGS = frozenset({"id", "object", "expires_at", "client_secret", "model"})
_SIDES = ("input", "output")
_CALLERS_FORMAT: Event = {"type": "audio/pcm", "rate": 24000}


def merge_session(base: Event, patch: Event) -> dict[str, object]:
    """Apply an update to a session.

    A field replaces the field of the same name, whole; only `audio`, `audio.input` and `audio.output` are merged field
    by field, because each of their fields is a setting of its own.
    """
    merged = {**base, **patch}
    old_audio, new_audio = base.get("audio"), patch.get("audio")
    if isinstance(old_audio, Mapping) and isinstance(new_audio, Mapping):
        audio = {**old_audio, **new_audio}
        for side in _SIDES:
            if isinstance(old_audio.get(side), Mapping) and isinstance(new_audio.get(side), Mapping):
                audio[side] = {**old_audio[side], **new_audio[side]}
        merged["audio"] = audio
    return merged


def without_fields(session: Event, paths: frozenset[str], prefix: str = "") -> dict[str, object]:
    """Return a session without the fields at these dotted paths; objects that become empty go as well."""
    kept: dict[str, object] = {}
    for key, value in session.items():
        path = f"{prefix}{key}"
        if path in paths:
            continue
        if isinstance(value, Mapping) and path in ("audio", "audio.input", "audio.output"):
            inner = without_fields(value, paths, f"{path}.")
            if value and not inner:
                continue
            value = inner
        kept[key] = value
    return kept


def without_locked(session: Event, locked: Event) -> dict[str, object]:
    """Return an update without what a client may not set in a locked call.

    Args:
        session: the client's update.
        locked: the configuration that the call was made with; none of its fields may change, nor may any that says
            what the agent is.
    """
    return without_fields(session, HIDDEN_FIELDS | (_leaves(locked, "") - {"type"}))


def _leaves(session: Event, prefix: str) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for key, value in session.items():
        path = f"{prefix}{key}"
        is_nested = path in ("audio", "audio.input", "audio.output") and isinstance(value, Mapping)
        found |= _leaves(value, f"{path}.") if is_nested and isinstance(value, Mapping) else {path}
    return found


def told_session(session: Event, profile: BackendProfile) -> dict[str, object]:
    """Rewrite an update for a backend.

    Returns:
        The update in words that the backend knows, with our audio formats; empty when nothing is left to tell.
    """
    told = without_fields(session, profile.unsupported_fields | _NOT_SETTINGS)
    told.pop("type", None)
    audio = {side: dict(mapping_at(mapping_at(told, "audio"), side)) for side in _SIDES}
    for settings in audio.values():
        settings.pop("format", None)
    _fit_turn_detection(audio["input"], profile)
    _fit_voice(audio["output"], profile)
    told.pop("audio", None)
    if any(audio.values()):
        told["audio"] = {side: settings for side, settings in audio.items() if settings}
    return _in_our_formats(told, session, profile) if told else {}


def _in_our_formats(told: dict[str, object], session: Event, profile: BackendProfile) -> dict[str, object]:
    kind = text_at(session, "type") or "realtime"
    told = {"type": kind, **told}
    if not profile.is_told_formats:
        return told
    formats: dict[str, object] = {"input": {"format": {"type": "audio/pcm", "rate": profile.input_rate}}}
    if kind != "transcription":
        formats["output"] = {"format": {"type": "audio/pcm", "rate": profile.output_rate}}
    return merge_session({"audio": formats}, told)


def _fit_turn_detection(settings: dict[str, object], profile: BackendProfile) -> None:
    detection = settings.get("turn_detection")
    if not isinstance(detection, Mapping) or text_at(detection, "type") in profile.turn_detection_types:
        return
    if profile.turn_detection_fallback is None:
        del settings["turn_detection"]
        return
    # What the two kinds have in common; thresholds and eagerness mean nothing to the other.
    shared = {key: detection[key] for key in ("create_response", "interrupt_response") if key in detection}
    settings["turn_detection"] = {"type": profile.turn_detection_fallback, **shared}


def _fit_voice(settings: dict[str, object], profile: BackendProfile) -> None:
    voice = settings.get("voice")
    if isinstance(voice, str) and voice not in profile.voices.values():
        settings["voice"] = profile.voices.get(voice, profile.default_voice or voice)


def told_response(response: Event, profile: BackendProfile) -> dict[str, object]:
    """Rewrite the settings of a `response.create` for a backend: as in a session, its voice and its format."""
    told = without_fields(response, profile.unsupported_fields | {"audio.output.format"})
    audio = mapping_at(told, "audio")
    if output := dict(mapping_at(audio, "output")):
        _fit_voice(output, profile)
        told["audio"] = {**audio, "output": output}
    return told


@attrs.define(kw_only=True)
class SessionConfiguration:
    """The configuration of one session.

    Attributes:
        session_id: the session's name, ours.
        profile: what the backend understands.
        model: the model that the call was made for; None when nobody said.
        wanted: what callers set, in the GA shape.
        reported: what the backend last said of its session.
    """

    session_id: str
    profile: BackendProfile
    model: str | None
    wanted: Event
    reported: Event = attrs.field(factory=dict)

    def adopt(self, patch: Event) -> None:
        """Take an update that counts from now on."""
        self.wanted = merge_session(self.wanted, without_fields(patch, _NOT_SETTINGS - {"model"}))

    def shown(self, patch: Event | None = None) -> dict[str, object]:
        """Return the session as callers see it: always an object with all that stock clients read.

        Args:
            patch: an update that is shown as if it counted already.
        """
        formats = {side: {"format": _CALLERS_FORMAT} for side in _SIDES}
        ours = {"object": "realtime.session", "id": self.session_id, "model": self.model}
        session: dict[str, object] = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
        }
        for layer in (self.reported, {"audio": formats}, ours if self.model else without_fields(ours, _MODEL)):
            session = merge_session(session, layer)
        session = merge_session(session, self.wanted)
        return merge_session(session, without_fields(patch, _NOT_SETTINGS - {"model"})) if patch else session

    def told(self) -> dict[str, object]:
        """Return all that a newly connected backend must be told; our formats at least, when it is told them."""
        told = told_session(self.wanted, self.profile)
        return told or (_in_our_formats({}, self.wanted, self.profile) if self.profile.is_told_formats else {})

    @property
    def interrupts(self) -> bool:
        """Whether the agent falls silent when the caller starts to speak (`turn_detection.interrupt_response`)."""
        settings = merge_session(self.reported, self.wanted)
        detection = mapping_at(mapping_at(mapping_at(settings, "audio"), "input"), "turn_detection")
        return detection.get("interrupt_response") is not False


_MODEL = frozenset({"model"})
