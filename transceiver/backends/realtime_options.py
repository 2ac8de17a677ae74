"""What a `RealtimeLink` has to know of its server."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs

__all__ = ["RealtimeOptions"]


@attrs.frozen(kw_only=True)
class RealtimeOptions:
    """A server that speaks the Realtime protocol over WebSocket, and how patient to be with it.

    Times in seconds, sizes in bytes.

    Attributes:
        url: ws or wss, up to the query; "wss://api.openai.com/v1/realtime" for one.
        model: what it is asked for as `?model=`; None leaves the URL as it is.
        api_key: shown to the server; empty for none.
        key_header: the header that carries it: "authorization" as a bearer key, any other as it is (Azure: "api-key").
        is_beta: whether the server speaks the beta shape; it is then asked for it, too. None finds out from what the
            server says first.
        input_rate: sample rate in Hz of what it hears.
        output_rate: of what it speaks.
        connect_timeout: until the WebSocket is open: name, TCP, TLS and handshake together.
        first_event_timeout: until the first event; servers send `session.created` at once.
        dialect_patience: how long our events wait for the server's first, when its shape is not known. A server that
            waits for ours is not waited for any longer.
        ping_interval: how long it may be silent before it is asked for a sign of life.
        ping_timeout: how long it may take to give one.
        queue_bytes: how much may wait for a server that does not read; more ends the connection. A mebibyte is 16 s of
            24 kHz audio, which nobody wants to hear any more.
        message_bytes: the longest event. Servers without streaming send an answer's audio in one.
        max_nonsense: how many messages in a row may be no events.
    """

    url: str
    model: str | None = None
    api_key: str = attrs.field(default="", repr=False)
    key_header: str = "authorization"
    is_beta: bool | None = None
    input_rate: int = 24000
    output_rate: int = 24000
    connect_timeout: float = 10.0
    first_event_timeout: float = 10.0
    dialect_patience: float = 1.0
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    queue_bytes: int = 1_048_576
    message_bytes: int = 16_777_216
    max_nonsense: int = 10

    @property
    def full_url(self) -> str:
        """The URL with the model in its query."""
        if self.model is None:
            return self.url
        parts = urlsplit(self.url)
        query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "model"]
        return urlunsplit(parts._replace(query=urlencode([*query, ("model", self.model)])))

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with the request."""
        headers = {"OpenAI-Beta": "realtime=v1"} if self.is_beta else {}
        if self.api_key:
            is_bearer = self.key_header.lower() == "authorization"
            headers[self.key_header] = f"Bearer {self.api_key}" if is_bearer else self.api_key
        return headers
