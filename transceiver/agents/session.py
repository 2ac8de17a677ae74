"""The effective configuration of a session, and how a client's `session.update` changes it.

Only fields that are present change something; null takes back to nothing where the protocol has it so. Fields that an
agent may find useful are kept as they came. What would change the meaning of the connection (the model, audio formats
that are not PCM) is not changed by asking.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from transceiver.agents.options import RATES
from transceiver.agents.outlet import JsonObject
from transceiver.agents.requests import RequestRefused, field, number_in, object_in, optional, text_in
from transceiver.agents.turns import TurnOptions

__all__ = ["SessionSettings"]

_SEMANTIC_SILENCE_MS = {"low": 1000, "medium": 500, "auto": 500, "high": 250}

# Fields that are kept as they come, for the agent, once their type is right.
_KEPT: Mapping[str, type] = {"instructions": str, "tools": list, "parallel_tool_calls": bool}
_KEPT_AS_THEY_ARE = ("tracing", "prompt", "include", "truncation", "reasoning", "max_output_tokens")

_SERVER_VAD: JsonObject = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: JsonObject = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


class SessionSettings:
    """One session's configuration, in the GA shape.

    Args:
        session_id: names the session.
        model: what the caller asked for.
        rate: sample rate in Hz, both ways.
        rates: those that the client may choose before the first audio.
        max_turn: longest turn in seconds, for `turns`.
    """

    def __init__(
        self, *, session_id: str, model: str, rate: int, rates: Sequence[int] = RATES, max_turn: float = 60.0
    ) -> None:
        self.rate = rate
        self._rates = rates
        self._max_turn = max_turn
        self._session: JsonObject = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "output_modalities": ["audio"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": rate},
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": dict(_SERVER_VAD),
                },
                "output": {"format": {"type": "audio/pcm", "rate": rate}, "voice": "default", "speed": 1.0},
            },
        }

    def describe(self) -> JsonObject:
        """Return the effective configuration. What a client sent is shared, and never changed."""
        audio = {name: dict(direction) for name, direction in self._audio.items()}
        return {**self._session, "audio": audio}

    def read(self, name: str) -> object:
        """Return one field; not to be changed."""
        return self._session[name]

    @property
    def turns(self) -> TurnOptions | None:
        """How turns are found; None when the client says so (push to talk).

        DEVIATES: a semantic turn detector listens to what is said. This one knows only energy, and takes the eagerness
        for the silence that it waits for.
        """
        detection = self._turn_detection
        if detection is None:
            return None
        longest = round(self._max_turn * 1000)
        if detection["type"] == "semantic_vad":
            silence = _SEMANTIC_SILENCE_MS[str(detection["eagerness"])]
            return TurnOptions(silence_duration_ms=silence, max_speech_ms=longest)
        return TurnOptions(
            threshold=cast("float", detection["threshold"]),
            prefix_padding_ms=cast("int", detection["prefix_padding_ms"]),
            silence_duration_ms=cast("int", detection["silence_duration_ms"]),
            max_speech_ms=longest,
        )

    @property
    def creates_response(self) -> bool:
        """Whether the end of a turn asks for an answer."""
        return self._turn_detection is not None and self._turn_detection["create_response"] is not False

    @property
    def interrupts_response(self) -> bool:
        """Whether the beginning of a turn cuts an answer off."""
        return self._turn_detection is not None and self._turn_detection["interrupt_response"] is not False

    @property
    def _turn_detection(self) -> JsonObject | None:
        return cast("JsonObject | None", self._audio["input"]["turn_detection"])

    @property
    def _audio(self) -> dict[str, JsonObject]:
        return cast("dict[str, JsonObject]", self._session["audio"])

    def update(self, patch: Mapping[str, object], *, is_rate_fixed: bool) -> None:
        """Apply the `session` of a `session.update`, all of it or nothing.

        Args:
            patch: what the client wants.
            is_rate_fixed: whether audio has gone before, so that the rate cannot change any more.

        Raises:
            RequestRefused: a field is wrong.
        """
        session = self.describe()
        text_in(patch, "type", ["realtime"], "session.type")
        for name, kind in _KEPT.items():
            if (value := optional(patch, name, kind, f"session.{name}")) is not None:
                session[name] = value
        for name in _KEPT_AS_THEY_ARE:
            if name in patch:
                session[name] = patch[name]
        if "output_modalities" in patch:
            session["output_modalities"] = check_modalities(patch, "session")
        if patch.get("tool_choice") is not None:
            session["tool_choice"] = check_tool_choice(patch, "session")
        audio = object_in(patch, "audio", "session.audio")
        rate = self._update_audio(cast("dict[str, JsonObject]", session["audio"]), audio, is_rate_fixed=is_rate_fixed)
        self._session = session
        self.rate = rate

    def _update_audio(self, audio: dict[str, JsonObject], patch: Mapping[str, object], *, is_rate_fixed: bool) -> int:
        heard = object_in(patch, "input", "session.audio.input")
        spoken = object_in(patch, "output", "session.audio.output")
        rates = {self._rate_of(heard, "input"), self._rate_of(spoken, "output")} - {None}
        if len(rates) > 1:
            raise RequestRefused(
                "invalid_value", "Audio goes both ways at one rate here.", "session.audio.output.format.rate"
            )
        rate = rates.pop() if rates else None
        if rate is not None and rate != self.rate:
            if is_rate_fixed:
                message = f"The rate is {self.rate} Hz, and cannot change after the first audio."
                raise RequestRefused("invalid_value", message, "session.audio.input.format.rate")
            for direction in audio.values():
                direction["format"] = {"type": "audio/pcm", "rate": rate}
        for name in ("transcription", "noise_reduction"):
            if name in heard:
                audio["input"][name] = heard[name]
        if "turn_detection" in heard:
            audio["input"]["turn_detection"] = _updated_detection(audio["input"]["turn_detection"], heard)
        if (voice := spoken.get("voice")) is not None:
            audio["output"]["voice"] = voice
        if (speed := number_in(spoken, "speed", 0.25, 1.5, "session.audio.output.speed")) is not None:
            audio["output"]["speed"] = speed
        return rate or self.rate

    def _rate_of(self, direction: Mapping[str, object], name: str) -> int | None:
        path = f"session.audio.{name}.format"
        wanted = object_in(direction, "format", path)
        if not wanted:
            return None
        text_in(wanted, "type", ["audio/pcm"], f"{path}.type")
        rate = optional(wanted, "rate", int, f"{path}.rate") or 24_000
        if rate not in self._rates:
            known = ", ".join(map(str, self._rates))
            message = f"Invalid value for '{path}.rate'. Supported values are: {known}."
            raise RequestRefused("invalid_value", message, f"{path}.rate")
        return rate


def check_modalities(source: Mapping[str, object], path: str) -> list[str]:
    """Take `output_modalities`: audio with its transcript, or text.

    Raises:
        RequestRefused: it is neither.
    """
    modalities = field(source, "output_modalities", list, f"{path}.output_modalities")
    if modalities not in (["audio"], ["text"]):
        message = f"Invalid value for '{path}.output_modalities'. Supported values are: ['audio'], ['text']."
        raise RequestRefused("invalid_value", message, f"{path}.output_modalities")
    return list(modalities)


def check_tool_choice(source: Mapping[str, object], path: str) -> object:
    """Take `tool_choice`: a word, or the function that must be called.

    Raises:
        RequestRefused: it is something else.
    """
    path = f"{path}.tool_choice"
    choice = source["tool_choice"]
    if isinstance(choice, str):
        text_in({"tool_choice": choice}, "tool_choice", ["auto", "none", "required"], path)
        return choice
    wanted = object_in(source, "tool_choice", path)
    text_in(wanted, "type", ["function", "mcp"], f"{path}.type")
    if wanted.get("type") == "function":
        field(wanted, "name", str, f"{path}.name")
    return choice


def _updated_detection(present: object, source: Mapping[str, object]) -> JsonObject | None:
    path = "session.audio.input.turn_detection"
    patch = optional(source, "turn_detection", dict, path)
    if patch is None:
        return None
    kind = text_in(patch, "type", ["server_vad", "semantic_vad"], f"{path}.type")
    defaults = _SEMANTIC_VAD if kind == "semantic_vad" else _SERVER_VAD
    if isinstance(present, dict) and (kind is None or present["type"] == kind):
        defaults = present
    checks: Mapping[str, Callable[[str], object]] = {
        "threshold": lambda at: number_in(patch, "threshold", 0, 1, at),
        "prefix_padding_ms": lambda at: _whole(number_in(patch, "prefix_padding_ms", 0, 5000, at)),
        "silence_duration_ms": lambda at: _whole(number_in(patch, "silence_duration_ms", 0, 10_000, at)),
        "eagerness": lambda at: text_in(patch, "eagerness", list(_SEMANTIC_SILENCE_MS), at),
        "create_response": lambda at: optional(patch, "create_response", bool, at),
        "interrupt_response": lambda at: optional(patch, "interrupt_response", bool, at),
    }
    updated = dict(defaults)
    for name, check in checks.items():
        if name in defaults and (value := check(f"{path}.{name}")) is not None:
            updated[name] = value
    return updated


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
