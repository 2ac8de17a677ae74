"""Audio as base64 inside events, a slice at a time.

A minute of speech can come in one event; decoding it in one go would hold up the packets of every call for as long as
that takes. Between two slices the caller may let others run.
"""

import binascii
from collections.abc import Iterator

__all__ = ["AudioNotBase64", "append_event", "decoded_slices"]

_SLICE_CHARACTERS = 65_536  # a multiple of four, and so 48 KiB of audio: a second at 24 kHz, decoded in 0.1 ms


class AudioNotBase64(ValueError):  # noqa: N818 - named for what came
    """The text is not the base64 of anything."""


def decoded_slices(text: str) -> Iterator[bytes]:
    """Decode base64; each slice but the last has a whole number of 16-bit samples.

    Raises:
        AudioNotBase64: the slice that comes next cannot be decoded.
    """
    for begin in range(0, len(text), _SLICE_CHARACTERS):
        try:
            yield binascii.a2b_base64(text[begin : begin + _SLICE_CHARACTERS], strict_mode=True)
        except (binascii.Error, ValueError) as error:
            raise AudioNotBase64(str(error)) from error


def append_event(pcm: bytes) -> str:
    """Return the text of an `input_audio_buffer.append`; base64 needs none of JSON's escapes."""
    return f'{{"type":"input_audio_buffer.append","audio":"{binascii.b2a_base64(pcm, newline=False).decode()}"}}'
