"""The command line: `trio-voice serve`, `reload`, `call`, `backend`, `keys`, `config` and `where`.

What a user can mend is told in words, with what would be right, and never as a traceback. Exit codes: 0 done, 1 it
could not be done, 2 the command or the configuration is wrong, 128 and more ended by a signal.

Nothing of a command is imported before it is used, not even to list it: a relay that starts again has calls waiting for
it, and everybody else likes help that comes at once.
"""

import importlib
from collections.abc import Iterator
from typing import IO, Any

import attrs
import click

from edge.config.problems import UserError
from edge.version import VERSION

__all__ = ["COMMANDS", "Command", "main"]


@attrs.frozen
class Command:
    """Where a command is.

    Attributes:
        module: what to import.
        name: of the click command in it.
        help: its line in the list of all; empty for what this program starts itself, and nobody else.
    """

    module: str
    name: str
    help: str = ""


COMMANDS = {
    "backend": Command("edge.backend_command", "backend", "Run an agent as a Realtime WebSocket server."),
    "call": Command("edge.caller.command", "call", "Call a server, without a browser."),
    "config": Command("edge.config_command", "config", "Print an example configuration, or check one."),
    "drain": Command("edge.fleet_commands", "drain", "Have a transceiver give its calls to others."),
    "fleet": Command("edge.fleet_commands", "fleet", "List the members of the fleet."),
    "keys": Command("edge.key_commands", "keys_group", "Make, rotate and look at the keys of a fleet."),
    "reload": Command("edge.handover.command", "reload", "Replace the running relay, without a lost packet."),
    "serve": Command("edge.serve_command", "serve", "Run the edge, or one tier of it."),
    "where": Command("edge.where_command", "where", "Explain where a caller would be placed."),
    "worker": Command("edge.workers.command", "worker"),
}


class _Failure(click.ClickException):
    """Something that the user can mend."""

    def __init__(self, error: UserError) -> None:
        super().__init__(error.tell())
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to standard error."""
        click.echo(f"trio-voice: {self.message}", file=file, err=file is None)


class _Commands(click.Group):
    """The commands; what goes wrong in any of them is told here."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the same for everybody
        """Name all commands that are for people."""
        return [name for name, command in COMMANDS.items() if command.help]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Find a command, and load its code."""
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        command = getattr(importlib.import_module(where.module), where.name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise _Failure(error) from None
        except BaseExceptionGroup as group:
            errors = list(_leaves(group))
            mendable = [error for error in errors if isinstance(error, UserError)]
            if len(mendable) == len(errors):
                raise _Failure(mendable[0]) from None
            raise


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="trio-voice")
def main() -> None:
    """The WebRTC edge for voice agents: signal, relay and transceiver.

    `trio-voice serve` runs all three on this machine and prints the address of a page to talk to.
    """
