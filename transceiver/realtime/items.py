"""What was said: the items of the conversation, as far as words go.

A backend that is lost takes the conversation with it. From what is remembered here it can be told again, as text: what
the caller said from the transcript, what the agent said up to where it was interrupted, and tool calls with their
results. The same memory answers a stock client, which retrieves each item after it was transcribed or truncated, for
backends that cannot.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

import attrs

from transceiver.realtime.fields import Event, integer_at, list_at, mapping_at, text_at

__all__ = ["ConversationItems"]

_FINAL = ("conversation.item.done", "response.output_item.done")


@attrs.define(eq=False)
class _Record:
    item: Event
    words: dict[int, str] = attrs.field(factory=dict)  # by content index
    response_id: str = ""
    is_added: bool = False
    is_made: bool = False  # response.output_item.done came
    is_done: bool = False
    is_truncated: bool = False


class ConversationItems:
    """The newest items of a conversation, in their order.

    Args:
        max_items: how many.
        max_length: how many characters of each; an item with more is remembered without its content.

    Attributes:
        changes: counts what another bridge would have to know, but for words that are still being said.
    """

    __slots__ = ("_max_items", "_max_length", "_records", "changes")

    def __init__(self, max_items: int, max_length: int) -> None:
        self._max_items = max_items
        self._max_length = max_length
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self.changes = 0

    def __len__(self) -> int:
        return len(self._records)

    def learn(self, event: Event) -> None:
        """Take what a server event (completed) says of an item."""
        name = text_at(event, "type")
        if name.endswith(("item.added", "item.done")):
            self._learn_item(name, event)
        elif name == "conversation.item.deleted":
            self._records.pop(text_at(event, "item_id"), None)
            self.changes += 1
        elif name in (
            "conversation.item.input_audio_transcription.completed",
            "response.output_audio_transcript.done",
        ):
            self._learn_words(event, text_at(event, "transcript"))
            self.changes += 1
        elif name == "response.output_audio_transcript.delta":
            record = self._records.get(text_at(event, "item_id"))
            index = integer_at(event, "content_index") or 0
            if record is not None and index in range(_MAX_PARTS):
                self._learn_words(event, record.words.get(index, "") + text_at(event, "delta"))

    def _learn_item(self, name: str, event: Event) -> None:
        item = mapping_at(event, "item")
        item_id = text_at(item, "id")
        if not 0 < len(item_id) <= _MAX_ID:
            return
        record = self._records.get(item_id)
        if record is None:
            record = self._records[item_id] = _Record({})
            self.changes += 1
            if len(self._records) > self._max_items:
                self._records.popitem(last=False)
        if name == "conversation.item.added":
            record.is_added = True
        if name == "conversation.item.done":
            record.is_done = True
        if name == "response.output_item.done":
            record.is_made = True
        record.response_id = record.response_id or text_at(event, "response_id")[:_MAX_ID]
        if not record.item or name in _FINAL:
            record.item = self._brief(item)

    def _learn_words(self, event: Event, words: str) -> None:
        record = self._records.get(text_at(event, "item_id"))
        index = integer_at(event, "content_index") or 0
        if record is not None and index in range(_MAX_PARTS) and not record.is_truncated:
            record.words[index] = words[: self._max_length]

    def _brief(self, item: Event) -> Event:
        """Return what is kept of an item: names, and words up to the bound."""
        brief = {key: text_at(item, key) for key in _KEPT if len(text_at(item, key)) <= self._max_length}
        kept: dict[str, object] = {key: value for key, value in brief.items() if value or key == "arguments"}
        if item.get("type") != "function_call":
            kept.pop("arguments", None)
        if "content" in item:
            parts = [part for part in list_at(item, "content") if isinstance(part, Mapping)][:_MAX_PARTS]
            kept["content"] = [
                {key: text_at(part, key)[: self._max_length] for key in ("type", "text", "transcript") if key in part}
                for part in parts
            ]
        return kept

    def truncate(self, item_id: str, content_index: int, heard: float) -> None:
        """Forget what the caller did not hear of a part.

        Args:
            item_id: the item.
            content_index: the part.
            heard: which share of its audio was heard, 0 to 1. Words are taken to be spread evenly over the audio.
        """
        record = self._records.get(item_id)
        if record is None:
            return
        parts = list_at(record.item, "content")
        part = parts[content_index] if 0 <= content_index < len(parts) else {}
        words = record.words.get(content_index) or text_at(part if isinstance(part, Mapping) else {}, "transcript")
        record.words[content_index] = words[: int(len(words) * heard)]
        record.item = {**record.item, "status": "incomplete"}
        self.changes += 1
        record.is_truncated = True  # the rest of its words, which may still come, was not heard either

    def get(self, item_id: str) -> Event | None:
        """Return an item with the words that are known of it."""
        record = self._records.get(item_id)
        if record is None:
            return None
        content = record.item.get("content")
        if not isinstance(content, list):
            return record.item
        parts = [_with_words(part, record.words.get(index)) for index, part in enumerate(content)]
        for index in sorted(record.words):
            if index >= len(parts):
                parts.append({"type": "output_audio", "transcript": record.words[index]})
        return {**record.item, "content": parts}

    def role(self, item_id: str) -> str:
        """Return who said it; empty when that is not known."""
        record = self._records.get(item_id)
        return text_at(record.item, "role") if record else ""

    def take_undone(self, response_id: str) -> list[Event]:
        """Return the items of a finished response that were added and made, but never said to be done; now they are."""
        undone = []
        for item_id, record in self._records.items():
            if record.response_id == response_id and record.is_added and record.is_made and not record.is_done:
                record.is_done = True
                undone.append(self.get(item_id) or record.item)
        return undone

    def to_records(self) -> list[Event]:
        """Return all that is remembered, in JSON types, for `from_records`."""
        return [
            {
                "item": record.item,
                "words": {str(index): words for index, words in record.words.items()},
                "response_id": record.response_id,
                "flags": [record.is_added, record.is_made, record.is_done, record.is_truncated],
            }
            for record in self._records.values()
        ]

    def from_records(self, records: Iterable[Event]) -> None:
        """Take over what another session's memory had; what makes no sense is left out."""
        for record in records:
            item = mapping_at(record, "item")
            item_id = text_at(item, "id")
            if not 0 < len(item_id) <= _MAX_ID or len(self._records) >= self._max_items:
                continue
            flags = [each is True for each in list_at(record, "flags")][:4]
            added, made, done, truncated = flags + [False] * (4 - len(flags))
            words = {
                int(index): text[: self._max_length]
                for index, text in mapping_at(record, "words").items()
                if index.isdecimal() and isinstance(text, str) and int(index) in range(_MAX_PARTS)
            }
            self._records[item_id] = _Record(
                self._brief(item), words, text_at(record, "response_id")[:_MAX_ID], added, made, done, truncated
            )

    def replay(self) -> Iterator[Event]:
        """Give the items that a new backend must be told, as text, in their order.

        A tool call without its result is left out: no backend would take it, and its result may still come.
        """
        results = {text_at(r.item, "call_id") for r in self._records.values() if _is(r.item, "function_call_output")}
        calls = {text_at(r.item, "call_id") for r in self._records.values() if _is(r.item, "function_call")}
        for item_id, record in self._records.items():
            if _is(record.item, "message"):
                text = "\n".join(_words(part) for part in list_at(self.get(item_id) or {}, "content")).strip()
                if text:
                    role = text_at(record.item, "role")
                    kind = "output_text" if role == "assistant" else "input_text"
                    content = [{"type": kind, "text": text}]
                    yield {"id": item_id, "type": "message", "role": role, "content": content}
            elif text_at(record.item, "call_id") in results & calls:
                yield {key: value for key, value in record.item.items() if key not in ("status", "object")}


_KEPT = ("id", "object", "type", "role", "status", "name", "arguments", "call_id", "output")
_MAX_PARTS = 16
_MAX_ID = 256


def _is(item: Event, kind: str) -> bool:
    return text_at(item, "type") == kind


def _words(part: object) -> str:
    return (text_at(part, "text") or text_at(part, "transcript")) if isinstance(part, Mapping) else ""


def _with_words(part: object, words: str | None) -> Event:
    if not isinstance(part, Mapping):
        return {}
    return part if words is None or text_at(part, "type").endswith("text") else {**part, "transcript": words}
