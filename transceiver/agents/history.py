"""The items of a conversation, in order, and what clients may do to them."""

from collections.abc import Iterator, Mapping
from typing import cast

import attrs

from transceiver.agents.outlet import JsonObject
from transceiver.agents.requests import RequestRefused

__all__ = ["Entry", "History", "text_of"]

_ROOT = "root"


@attrs.define(eq=False)
class Entry:
    """An item, with what is known of it beyond what clients see.

    Attributes:
        item: as clients see it; its `id` never changes.
        audio_samples: how much speech of the assistant's it holds.
        rate: sample rate of that.
    """

    item: JsonObject
    audio_samples: int = 0
    rate: int = 24_000

    @property
    def item_id(self) -> str:
        """The item's id."""
        return cast("str", self.item["id"])

    @property
    def audio_ms(self) -> int:
        """How long its speech is."""
        return self.audio_samples * 1000 // self.rate


class History:
    """The conversation so far.

    Args:
        max_items: how many items are remembered.
        conversation_id: names the conversation.

    Attributes:
        conversation_id: as given.
        forgotten: how many were forgotten, the oldest first.
    """

    def __init__(self, max_items: int, conversation_id: str) -> None:
        self.conversation_id = conversation_id
        self.forgotten = 0
        self._max_items = max_items
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def last_id(self) -> str | None:
        """Id of the newest item."""
        return self._entries[-1].item_id if self._entries else None

    def add(self, entry: Entry, after: str | None = None) -> str | None:
        """Add an item.

        Args:
            entry: the item.
            after: id of the item that it follows; "root" to be the first, None to be the last.

        Returns:
            The id of the item before it, None for the first.

        Raises:
            RequestRefused: there is no item `after`, or one with this id already.
        """
        if any(known.item_id == entry.item_id for known in self._entries):
            message = f"The conversation has an item with id '{entry.item_id}' already."
            raise RequestRefused("item_create_duplicate_item_id", message, "item.id")
        if after is None:
            index = len(self._entries)
        elif after == _ROOT:
            index = 0
        else:
            index = self._index(after, "item_create_invalid_previous_item_id", "previous_item_id") + 1
        previous = self._entries[index - 1].item_id if index else None
        self._entries.insert(index, entry)
        if len(self._entries) > self._max_items:
            del self._entries[0]
            self.forgotten += 1
        return previous

    def before(self, entry: Entry) -> str | None:
        """Tell the id of the item before an entry; None for the first, and for one that is not (any more) there."""
        previous = None
        for known in self._entries:
            if known is entry:
                return previous
            previous = known.item_id
        return None

    def find(self, item_id: str, code: str) -> Entry:
        """Return an item.

        Args:
            item_id: its id.
            code: what to say if there is none.

        Raises:
            RequestRefused: there is none.
        """
        return self._entries[self._index(item_id, code, "item_id")]

    def remove(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            RequestRefused: there is none with this id.
        """
        del self._entries[self._index(item_id, "item_delete_invalid_item_id", "item_id")]

    def function_of(self, call_id: str) -> str | None:
        """Tell the name of the function that a call was of; None when no such call is known."""
        for entry in reversed(self._entries):
            if entry.item["type"] == "function_call" and entry.item.get("call_id") == call_id:
                return str(entry.item["name"])
        return None

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Shorten the assistant's speech in an item to what the caller has heard.

        Its transcript goes: nobody knows which of its words were heard.

        Raises:
            RequestRefused: there is no such speech, or it is shorter than that already.
        """
        code = "item_truncate_invalid_item_id"
        entry = self.find(item_id, code)
        content = cast("list[JsonObject]", entry.item.get("content", []))
        if entry.item.get("role") != "assistant":
            raise RequestRefused(code, "Only messages of the assistant can be truncated.", "item_id")
        if not 0 <= content_index < len(content) or content[content_index]["type"] != "output_audio":
            message = f"Item '{item_id}' has no audio at content index {content_index}."
            raise RequestRefused("invalid_value", message, "content_index")
        if not 0 <= audio_end_ms <= entry.audio_ms:
            message = f"Audio content of {entry.audio_ms}ms is already shorter than {audio_end_ms}ms."
            raise RequestRefused("invalid_value", message, "audio_end_ms")
        entry.audio_samples = audio_end_ms * entry.rate // 1000
        shortened = [{**part, "transcript": None} if part is content[content_index] else part for part in content]
        entry.item = {**entry.item, "content": shortened}

    def _index(self, item_id: str, code: str, param: str) -> int:
        for index, entry in enumerate(self._entries):
            if entry.item_id == item_id:
                return index
        raise RequestRefused(code, f"Item with id '{item_id}' not found.", param)


def text_of(item: Mapping[str, object]) -> str:
    """Put the written parts of a message together."""
    parts = cast("list[Mapping[str, object]]", item["content"])
    return "\n".join(cast("str", part["text"]) for part in parts if part.get("text"))
