"""`trio-voice serve`: what the command line says, made into a launch."""

from pathlib import Path

import click

from edge.collector import let_the_collector_rest
from edge.config.embedded import DEFAULT_MEDIA_PORT
from edge.config.model import Role
from edge.config.problems import Text
from edge.config.sources import Tree, set_value

__all__ = ["config_option", "role_option", "serve"]

role_option = click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    envvar="TRIO_VOICE_ROLE",
    help="Run this tier only; without it, all three run in one process.",
)
config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="TRIO_VOICE_CONFIG",
    help="TOML file; `trio-voice config` prints one to start from. Environment variables override it.",
)


@click.command("serve", short_help="Run the edge, or one tier of it.")
@role_option
@config_option
@click.option("--http", metavar="[IP:]PORT", help="Where signal listens; signal.listen in a file. [127.0.0.1:8080]")
@click.option(
    "--media-port",
    type=click.IntRange(1, 65_535),
    default=DEFAULT_MEDIA_PORT,
    show_default=True,
    help="UDP port of the relay when all three run together and no file says otherwise.",
)
@click.option(
    "--backend",
    metavar="USE",
    help="What answers calls: parrot, echo, agent:MODULE:FUNCTION or realtime:wss://HOST/PATH; transceiver.backend in "
    "a file. [parrot]",
)
@click.option(
    "--workers",
    metavar="N",
    help="Processes that share the work of a relay, with --role relay, and else of the transceiver, one for each core "
    "that it may use; relay.workers and transceiver.workers in a file. [1]",
)
@click.option("--keys", metavar="PATH", help="Key bundle of the role, or folder of all; keys in a file.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error; log.level in a file. [info]")
@click.option("--log-format", metavar="FORMAT", help="auto, text or json; log.format in a file. [auto]")
@click.option("--successor-of", type=int, hidden=True, help="Descriptor of the channel to the program to be replaced.")
@click.pass_context
def serve(  # noqa: PLR0913, RUF100 - one parameter an option
    ctx: click.Context,
    role: str | None,
    path: Path | None,
    http: str | None,
    media_port: int,
    backend: str | None,
    workers: str | None,
    keys: str | None,
    log_level: str | None,
    log_format: str | None,
    successor_of: int | None,
) -> None:
    """Run the edge, or one tier of it, until SIGTERM or Ctrl-C.

    SIGHUP reads configuration and keys again; calls that are going on notice nothing.
    """
    let_the_collector_rest()
    from edge.head_start import take_head_start
    from edge.launch import Launch

    if http is not None and role not in {None, Role.SIGNAL.value}:
        raise click.UsageError("--http is where signal listens; a relay has relay.http, a transceiver its control.")
    if backend is not None and role not in {None, Role.TRANSCEIVER.value}:
        raise click.UsageError(f"--backend is what a transceiver's calls are answered by; a {role} has none.")
    if workers is not None and role == Role.SIGNAL.value:
        raise click.UsageError("--workers are a relay's or a transceiver's; signal has one process.")
    options: Tree = {}
    listen = f"127.0.0.1:{http}" if http is not None and http.isdigit() else http
    given = {
        ("signal", "listen"): (listen, "--http"),
        ("transceiver", "backend"): (backend, "--backend"),
        ("relay" if role == Role.RELAY.value else "transceiver", "workers"): (workers, "--workers"),
        ("keys",): (keys, "--keys"),
        ("log", "level"): (log_level, "--log-level"),
        ("log", "format"): (log_format, "--log-format"),
    }
    for key, (value, option) in given.items():
        if value is not None:
            set_value(options, key, Text(value, f"option {option}"))
    launch = Launch(
        path=path,
        role=Role(role) if role else None,
        options=options,
        media_port=media_port,
        successor_of=successor_of,
    )
    loaded = launch.load()
    with take_head_start(loaded.config, is_successor=successor_of is not None) as head_start:
        import trio

        from edge.serve import serve as run

        ctx.exit(trio.run(run, launch, loaded, head_start))
