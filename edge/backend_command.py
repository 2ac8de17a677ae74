"""`trio-voice backend`: an agent as a Realtime WebSocket server, to try things with."""

import signal
from collections.abc import AsyncIterator

import click
import trio

from edge.backend_server import BackendHandler
from edge.config.model import LogConfig
from edge.config.values import address, format_address
from edge.http.server import HttpServer
from edge.logs import configure_logs, get_logger, reporter
from edge.tiers.serving import failure_hook, open_http
from transceiver.agents.contract import Agent
from transceiver.agents.loading import AgentNotFound, load_agent
from transceiver.agents.parrot import parrot
from wire.core import Address

__all__ = ["backend", "serve_backend"]

_STOP_SECONDS = 5.0


@click.command("backend", short_help="Run an agent as a Realtime WebSocket server.")
@click.option(
    "--listen",
    metavar="[IP:]PORT",
    default="127.0.0.1:9000",
    show_default=True,
    help="Where to listen; port 0 is free.",
)
@click.option(
    "--agent",
    "name",
    metavar="NAME",
    default="parrot",
    show_default=True,
    help="parrot, or module:function of an agent of your own, looked for in this folder too.",
)
@click.option("--api-key", envvar="TRIO_VOICE_BACKEND_KEY", help="What clients must show. Needed beyond this machine.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.pass_context
def backend(ctx: click.Context, listen: str, name: str, api_key: str | None, log_level: str) -> None:
    """Run an agent as a server of the OpenAI Realtime WebSocket protocol, until SIGTERM or Ctrl-C.

    Its URL is what `trio-voice serve --backend realtime:URL` takes, and what any client of the Realtime WebSocket can
    connect to, in the GA shape or, if it asks for it, in the beta shape.
    """
    try:
        at = address(f"127.0.0.1:{listen}" if listen.isdigit() else listen)
    except ValueError as error:
        raise click.BadParameter(f"{listen!r} is not [IP:]PORT: {error}", param_hint="--listen") from error
    if api_key is not None and not api_key.strip():
        raise click.BadParameter("is empty", param_hint="--api-key")
    configure_logs(LogConfig(level=log_level))
    ctx.exit(trio.run(serve_backend, _agent_of(name), name, at, api_key))


def _agent_of(name: str) -> Agent:
    if name == "parrot":
        return parrot
    try:
        return load_agent(name)
    except AgentNotFound as error:
        raise click.BadParameter(f"{error}. Give parrot, or module:function.", param_hint="--agent") from error


async def serve_backend(agent: Agent, name: str, listen: Address, api_key: str | None) -> int:
    """Serve an agent until a signal says otherwise.

    Args:
        agent: the function.
        name: what it is called in what is printed.
        listen: where; port 0 takes a free one.
        api_key: what clients must show; None for none, and for clients on this machine only.

    Returns:
        The exit code: 0 after a graceful stop, 128 and the signal's number after an impatient one.

    Raises:
        StartError: the address cannot be bound.
    """
    report = reporter(get_logger("backend"))
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        listener = await open_http("--listen", listen)
        handler = BackendHandler(agent, listen=listen, api_key=api_key, report=report)
        server = HttpServer(handler, on_failure=failure_hook(report))
        async with trio.open_nursery() as nursery:
            (bound,) = await nursery.start(server.serve, [listener])
            url = f"ws://{format_address(bound)}/v1/realtime"
            print(f"The agent {name} answers at {url}", flush=True)
            print(f"To call it from a browser: trio-voice serve --backend realtime:{url}", flush=True)
            code = await _until_stopped(server, received)
            nursery.cancel_scope.cancel()
    if not code:
        print("Stopped.", flush=True)
    return code


async def _until_stopped(server: HttpServer, received: AsyncIterator[int]) -> int:
    """Stop at the first signal with patience, at the second at once."""
    await anext(received)
    code = 0
    async with trio.open_nursery() as nursery:

        async def stop() -> None:
            await server.stop(_STOP_SECONDS)
            nursery.cancel_scope.cancel()

        nursery.start_soon(stop)
        code = 128 + await anext(received)
        nursery.cancel_scope.cancel()
    return code
