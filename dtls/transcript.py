"""The running hash over all handshake messages."""

import hashlib

__all__ = ["Transcript"]


class Transcript:
    """Hashes messages as they come and go.

    Args:
        hash_name: hashlib's name of the hash; known once the cipher suite is.
    """

    __slots__ = ("_hash",)

    def __init__(self, hash_name: str) -> None:
        self._hash = hashlib.new(hash_name)

    def add(self, message: bytes) -> None:
        """Append a message, in the form that its version hashes (`HandshakeMessage.transcript_bytes_…`)."""
        self._hash.update(message)

    def digest(self) -> bytes:
        """Return the hash of all messages so far."""
        return self._hash.digest()
