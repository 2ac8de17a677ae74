"""The command line: `trio-voice serve`, `call`, `backend`, `keys` and `config`.

What a user can mend is told in words, with what would be right, and never as a traceback. Exit codes: 0 done, 1 it
could not be done, 2 the command or the configuration is wrong, 128 and more ended by a signal.
"""

import importlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import click

from edge.config.check import roles_of
from edge.config.embedded import DEFAULT_MEDIA_PORT
from edge.config.example import example_file
from edge.config.model import Role
from edge.config.problems import ConfigError, Text
from edge.config.sources import Tree, set_value
from edge.key_commands import keys_group
from edge.key_files import KeysError
from edge.start import StartError

__all__ = ["main"]

# Commands whose code is loaded when they are used, so that the others start fast.
_LAZY = {"backend": "edge.backend_command:backend", "call": "edge.caller.command:call"}
# Commands that this program gives to itself; not listed.
_INTERNAL = {"worker": "edge.workers.command:worker"}


class _Failure(click.ClickException):
    """Something that the user can mend; exits with 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to standard error."""
        click.echo(f"trio-voice: {self.message}", file=file, err=file is None)


class _WrongConfiguration(_Failure):
    """The configuration is not right in itself."""

    exit_code = 2


class _Commands(click.Group):
    """The commands; what goes wrong in any of them is told here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands."""
        return sorted({*super().list_commands(ctx), *_LAZY})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, loading its code if need be."""
        where = (_LAZY | _INTERNAL).get(cmd_name)
        if where is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = where.partition(":")
        command = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (ConfigError, KeysError) as error:
            raise _failure_of(error) from None
        except BaseExceptionGroup as group:
            errors = list(_leaves(group))
            if all(isinstance(error, ConfigError | KeysError) for error in errors):
                raise _failure_of(errors[0]) from None
            raise


def _failure_of(error: BaseException) -> _Failure:
    if not isinstance(error, ConfigError):
        return _Failure(str(error))
    lines = [f"  {problem}" for problem in error.problems]
    if isinstance(error, StartError):
        return _Failure("\n".join(["cannot start.", *lines]))
    heading = "there is a problem" if len(lines) == 1 else f"there are {len(lines)} problems"
    return _WrongConfiguration("\n".join([f"{heading} in the configuration.", *lines]))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("trio-voice"), prog_name="trio-voice")
def main() -> None:
    """The WebRTC edge for voice agents: signal, relay and transceiver.

    `trio-voice serve` runs all three on this machine and prints the address of a page to talk to.
    """


_role = click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    envvar="TRIO_VOICE_ROLE",
    help="Run this tier only; without it, all three run in one process.",
)
_config = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="TRIO_VOICE_CONFIG",
    help="TOML file; `trio-voice config` prints one to start from. Environment variables override it.",
)


@main.command()
@_role
@_config
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
    help="Processes that share the calls of a transceiver, one for each core it may use; transceiver.workers in a "
    "file. [1]",
)
@click.option("--keys", metavar="PATH", help="Key bundle of the role, or folder of all; keys in a file.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error; log.level in a file. [info]")
@click.option("--log-format", metavar="FORMAT", help="auto, text or json; log.format in a file. [auto]")
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
) -> None:
    """Run the edge, or one tier of it, until SIGTERM or Ctrl-C.

    SIGHUP reads configuration and keys again; calls that are going on notice nothing.
    """
    import trio

    from edge.serve import Launch
    from edge.serve import serve as run

    if http is not None and role not in {None, Role.SIGNAL.value}:
        raise click.UsageError("--http is where signal listens; a relay has relay.http, a transceiver its control.")
    if backend is not None and role not in {None, Role.TRANSCEIVER.value}:
        raise click.UsageError(f"--backend is what a transceiver's calls are answered by; a {role} has none.")
    if workers is not None and role not in {None, Role.TRANSCEIVER.value}:
        raise click.UsageError(f"--workers are a transceiver's; a {role} has one process.")
    options: Tree = {}
    listen = f"127.0.0.1:{http}" if http is not None and http.isdigit() else http
    given = {
        ("signal", "listen"): (listen, "--http"),
        ("transceiver", "backend"): (backend, "--backend"),
        ("transceiver", "workers"): (workers, "--workers"),
        ("keys",): (keys, "--keys"),
        ("log", "level"): (log_level, "--log-level"),
        ("log", "format"): (log_format, "--log-format"),
    }
    for key, (value, option) in given.items():
        if value is not None:
            set_value(options, key, Text(value, f"option {option}"))
    launch = Launch(path=path, role=Role(role) if role else None, options=options, media_port=media_port)
    ctx.exit(trio.run(run, launch, launch.load()))


@main.command()
@_role
@_config
@click.option("--check", is_flag=True, help="Check the configuration that `serve` would use, and print nothing else.")
def config(role: str | None, path: Path | None, check: bool) -> None:
    """Print an example configuration with every key explained, or check one."""
    only = Role(role) if role else None
    if not check:
        if path is not None:
            raise click.UsageError("--config needs --check: an example is printed, not read.")
        click.echo(example_file(only), nl=False)
        return
    from edge.serve import Launch, load_keys

    loaded = Launch(path=path, role=only).load()
    _, warnings = load_keys(loaded.config)
    for warning in (*loaded.warnings, *warnings):
        click.echo(f"Warning: {warning}.")
    click.echo(f"The configuration is good for: {', '.join(roles_of(loaded.config))}.")


main.add_command(keys_group)
