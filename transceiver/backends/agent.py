"""A backend in this process: a Python function as the agent, without JSON, base64 or a socket.

Everything is a call: what a client sends is looked at by the agent's server inside `send_event` and `send_audio`, and
what the server says goes to the sink inside of them too. Only the agent itself is a task.
"""

from collections.abc import Mapping

from transceiver.agents.contract import Agent
from transceiver.agents.options import AgentOptions
from transceiver.agents.server import AgentFailed, AgentServer
from transceiver.backends.contract import BackendLink, BackendSink, BackendUnavailable
from wire.core import Entropy

__all__ = ["AgentLink"]

_MAX_WAITING = 256
_DEFAULTS = AgentOptions()


class AgentLink(BackendLink):
    """One call's agent.

    Args:
        agent: the function.
        model: the model that the caller asked for.
        entropy: for the ids of events and items.
        rate: sample rate in Hz of the PCM, both ways.
        options: bounds and times of the conversation.

    Attributes:
        input_rate: as given.
        output_rate: the same.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        entropy: Entropy,
        model: str = "",
        rate: int = 24_000,
        options: AgentOptions = _DEFAULTS,
    ) -> None:
        self.input_rate = self.output_rate = rate
        self._agent = agent
        self._model = model
        self._entropy = entropy
        self._options = options
        self._server: AgentServer | None = None
        self._waiting: list[Mapping[str, object] | bytes] = []
        self._is_closed = False
        self._has_overflowed = False
        self._has_ended = False
        self._description: Mapping[str, object] = {}

    async def run(self, sink: BackendSink) -> None:
        """Run the agent until it returns or the call ends; see `BackendLink.run`.

        Raises:
            BackendUnavailable: the agent ended with an exception, which is the cause of this one's cause.
        """
        if self._has_overflowed:
            raise BackendUnavailable(f"more than {_MAX_WAITING} events came before the agent was started")
        if self._is_closed:
            return
        server = AgentServer(
            self._agent,
            sink=sink,
            entropy=self._entropy,
            model=self._model,
            rate=self.input_rate,
            options=self._options,
        )
        sink.backend_opened()
        server.greet()
        for item in self._waiting:  # which grows while the sink answers
            self._hand_over(server, item)
        self._waiting = []
        self._server = server
        if self._is_closed:
            server.close()
        try:
            await server.run()
        except AgentFailed as failure:
            raise BackendUnavailable(f"the agent has failed: {failure}") from failure
        finally:
            # The server refers to the sink, which refers to this link.
            self._server, self._description, self._has_ended = None, server.describe(), True

    def send_event(self, event: Mapping[str, object]) -> None:
        """Let the agent's server look at an event at once; see `BackendLink.send_event`."""
        if self._server is not None:
            self._server.receive_event(event)
        else:
            self._wait(event)

    def send_audio(self, pcm: bytes) -> None:
        """Let the agent's server hear at once; see `BackendLink.send_audio`."""
        if self._server is not None:
            self._server.receive_audio(pcm)
        else:
            self._wait(pcm)

    def close(self) -> None:
        """Tell the agent that the caller has gone; see `BackendLink.close`."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()

    def describe(self) -> Mapping[str, object]:
        """Tell the conversation's state in JSON types; empty before it runs."""
        return self._server.describe() if self._server is not None else self._description

    def _wait(self, item: Mapping[str, object] | bytes) -> None:
        if self._has_ended:
            return
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append(item)
        else:
            self._has_overflowed = True

    @staticmethod
    def _hand_over(server: AgentServer, item: Mapping[str, object] | bytes) -> None:
        if isinstance(item, bytes):
            server.receive_audio(item)
        else:
            server.receive_event(item)
