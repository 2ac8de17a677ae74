"""Each client event of the Realtime protocol becomes a call of the dialogue; what is wrong with it, an `error` event.

An error never ends the session. It names the `event_id` of the event that it answers, since clients wait for that.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import ClassVar, cast

from transceiver.agents.answers import Unanswered
from transceiver.agents.dialogue import Dialogue
from transceiver.agents.history import text_of
from transceiver.agents.outlet import JsonObject, Outlet
from transceiver.agents.requests import RequestRefused, field, object_in, optional, text_in
from transceiver.agents.session import check_modalities, check_tool_choice

__all__ = ["ClientEvents"]

_ROLES = ("user", "assistant", "system")
_PARTS = ("input_text", "input_audio", "input_image", "output_text", "output_audio", "text", "audio")
_DIGITS = tuple("0123456789*#ABCD")
_MAX_ID = 64
_MAX_AUDIO_BYTES = 15 << 20  # the protocol's bound on one `append`


class ClientEvents:
    """Reads the client events of one conversation.

    Args:
        dialogue: does what they ask for.
        outlet: takes the errors.
    """

    def __init__(self, dialogue: Dialogue, outlet: Outlet) -> None:
        self._dialogue = dialogue
        self._outlet = outlet

    def receive(self, event: Mapping[str, object]) -> bytes:
        """Do what an event asks for, or say why not.

        Returns:
            The audio of `input_audio_buffer.append`, which goes the way of all audio; empty for all other events.
        """
        event_id = event.get("event_id")
        try:
            name = field(event, "type", str, "type")
            if name == "input_audio_buffer.append":
                return _pcm(field(event, "audio", str, "audio"), "audio")
            handler = self._HANDLERS.get(name)
            if handler is None:
                self._refuse(name)
            else:
                handler(self, event)
        except RequestRefused as refusal:
            self._outlet.error(
                refusal.code,
                refusal.message,
                param=refusal.param,
                event_id=event_id if isinstance(event_id, str) else None,
            )
        return b""

    def _refuse(self, name: str) -> None:
        known = ", ".join(f"'{name}'" for name in ("input_audio_buffer.append", *self._HANDLERS))
        message = f"Invalid value: '{name[:_MAX_ID]}'. Supported values are: {known}."
        raise RequestRefused("invalid_value", message, "type")

    def _session_update(self, event: Mapping[str, object]) -> None:
        self._dialogue.update_session(field(event, "session", dict, "session"))

    def _digit(self, event: Mapping[str, object]) -> None:
        # Not a client event of the protocol: servers tell clients of digits. Here the media is with the client's side,
        # which tells us, in the same words.
        digit = text_in({"event": field(event, "event", str, "event")}, "event", _DIGITS, "event")
        self._dialogue.receive_digit(str(digit))

    def _item_create(self, event: Mapping[str, object]) -> None:
        item, audio = self._read_item(field(event, "item", dict, "item"), "item")
        self._dialogue.add_item(item, optional(event, "previous_item_id", str, "previous_item_id"), audio)

    def _item_truncate(self, event: Mapping[str, object]) -> None:
        content_index = field(event, "content_index", int, "content_index")
        self._dialogue.truncate_item(_item_id(event), content_index, field(event, "audio_end_ms", int, "audio_end_ms"))

    def _response_create(self, event: Mapping[str, object]) -> None:
        wanted = object_in(event, "response", "response")
        changes: JsonObject = {}
        if (instructions := optional(wanted, "instructions", str, "response.instructions")) is not None:
            changes["instructions"] = instructions
        if (tools := optional(wanted, "tools", list, "response.tools")) is not None:
            changes["tools"] = tools
        if wanted.get("tool_choice") is not None:
            changes["tool_choice"] = check_tool_choice(wanted, "response")
        if wanted.get("output_modalities") is not None:
            changes["output_modalities"] = check_modalities(wanted, "response")
        changes["metadata"] = optional(wanted, "metadata", dict, "response.metadata")
        changes["is_apart"] = text_in(wanted, "conversation", ["auto", "none"], "response.conversation") == "none"
        answers = self._dialogue.answers
        answers.ask(answers.wishes(**changes), self._read_input(wanted))

    def _read_input(self, wanted: Mapping[str, object]) -> Unanswered | None:
        """Read what a response should answer instead of the conversation."""
        items = optional(wanted, "input", list, "response.input")
        if items is None:
            return None
        content = Unanswered(_MAX_AUDIO_BYTES)
        for index, given in enumerate(items):
            path = f"response.input[{index}]"
            if not isinstance(given, dict):
                raise RequestRefused("invalid_type", f"Invalid type for '{path}': expected an object.", path)
            if given.get("type") == "item_reference":
                item = self._dialogue.history.find(field(given, "id", str, f"{path}.id"), "item_not_found").item
                audio = b""
            else:
                item, audio = self._read_item(given, path)
            if item["type"] == "message" and item["role"] == "user":
                content.add_text(text_of(item))
                if audio:
                    content.add_audio(audio, cast("str", item["id"]))
        return content

    def _response_cancel(self, event: Mapping[str, object]) -> None:
        answers = self._dialogue.answers
        wanted = optional(event, "response_id", str, "response_id")
        if answers.response_id is None or wanted not in {None, answers.response_id}:
            message = "Cancellation failed: no active response found."
            raise RequestRefused("response_cancel_not_active", message, None if wanted is None else "response_id")
        answers.cancel("client_cancelled")

    def _read_item(self, given: Mapping[str, object], path: str) -> tuple[JsonObject, bytes]:
        """Check an item and complete it.

        Returns:
            The item as clients see it, without audio; and its audio.
        """
        kind = text_in(given, "type", ["message", "function_call", "function_call_output"], f"{path}.type")
        item_id = optional(given, "id", str, f"{path}.id") or self._outlet.new_id("item")
        if len(item_id) > _MAX_ID:
            raise RequestRefused("string_above_max_length", f"'{path}.id' is longer than {_MAX_ID}.", f"{path}.id")
        item: JsonObject = {"id": item_id, "object": "realtime.item", "type": kind, "status": "completed"}
        if kind == "function_call_output":
            names: tuple[str, ...] = ("call_id", "output")
        elif kind == "function_call":
            names = ("call_id", "name", "arguments")
        elif kind == "message":
            item["role"] = text_in({"role": field(given, "role", str, f"{path}.role")}, "role", _ROLES, f"{path}.role")
            item["content"], audio = _read_content(field(given, "content", list, f"{path}.content"), f"{path}.content")
            return item, audio
        else:
            raise RequestRefused(
                "missing_required_parameter", f"Missing required parameter: '{path}.type'.", f"{path}.type"
            )
        return item | {name: field(given, name, str, f"{path}.{name}") for name in names}, b""

    # Of the class: an instance that holds methods of its own is freed by the garbage collector only.
    _HANDLERS: ClassVar[Mapping[str, Callable[["ClientEvents", Mapping[str, object]], None]]] = {
        "session.update": _session_update,
        "input_audio_buffer.commit": lambda self, _: self._dialogue.commit(),
        "input_audio_buffer.clear": lambda self, _: self._dialogue.clear(),
        "conversation.item.create": _item_create,
        "conversation.item.retrieve": lambda self, event: self._dialogue.retrieve_item(_item_id(event)),
        "conversation.item.delete": lambda self, event: self._dialogue.delete_item(_item_id(event)),
        "conversation.item.truncate": _item_truncate,
        "input_audio_buffer.dtmf_event_received": _digit,
        "response.create": _response_create,
        "response.cancel": _response_cancel,
    }


def _read_content(parts: list[object], path: str) -> tuple[list[JsonObject], bytes]:
    content: list[JsonObject] = []
    audio = []
    for index, part in enumerate(parts):
        at = f"{path}[{index}]"
        if not isinstance(part, dict):
            raise RequestRefused("invalid_type", f"Invalid type for '{at}': expected an object.", at)
        kind = text_in(part, "type", _PARTS, f"{at}.type") or ""
        if kind.endswith("audio"):
            if (sound := optional(part, "audio", str, f"{at}.audio")) is not None and kind == "input_audio":
                audio.append(_pcm(sound, f"{at}.audio"))
            transcript = optional(part, "transcript", str, f"{at}.transcript")
            # The older shape's names are taken and shown as today's, as clients know no others.
            content.append({"type": kind if kind != "audio" else "output_audio", "transcript": transcript})
        elif kind == "input_image":
            content.append(dict(part))
        else:
            shown = kind if kind in {"input_text", "output_text"} else "output_text"
            content.append({"type": shown, "text": field(part, "text", str, f"{at}.text")})
    return content, b"".join(audio)


def _item_id(event: Mapping[str, object]) -> str:
    return field(event, "item_id", str, "item_id")


def _pcm(text: str, path: str) -> bytes:
    try:
        pcm = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RequestRefused("invalid_value", f"Invalid value for '{path}': expected base64.", path) from None
    if len(pcm) % 2 or len(pcm) > _MAX_AUDIO_BYTES:
        message = f"Invalid value for '{path}': expected 16-bit PCM of at most {_MAX_AUDIO_BYTES} bytes."
        raise RequestRefused("invalid_value", message, path)
    return pcm
