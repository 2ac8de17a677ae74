"""`trio-voice reload`: the running relay is replaced by a new program, without a lost packet."""

import json
import os
import socket
from pathlib import Path

import click

from edge.config.load import load
from edge.config.model import Role
from edge.config.problems import Problem
from edge.handover.listening import REQUEST
from edge.serve_command import config_option
from edge.start import StartError

__all__ = ["reload"]

_PATIENCE = 60.0


@click.command("reload", short_help="Replace the running relay, without a lost packet.")
@config_option
def reload(path: Path | None) -> None:
    """Start the relay anew, with the program, configuration and keys that are there now.

    The running relay is found by relay.reload_socket. It starts the new program with its own command line, hands it the
    sockets with what waits in them, and exits; if the new program does not come, it goes on. Calls notice nothing;
    clients on TCP connect again. To read only keys and configuration anew, send SIGHUP.
    """
    loaded = load(path=path, environ=os.environ, role=Role.RELAY)
    at = loaded.config.relay.reload_socket if loaded.config.relay else None
    if at is None:
        right = 'Give the path of a file, such as "/run/trio-voice/relay.sock", before the relay starts.'
        raise StartError([Problem("relay.reload_socket", "it is missing, so the running relay cannot be found", right)])
    click.echo(f"The relay is process {_ask(Path(at))} now.")


def _ask(path: Path) -> int:
    """Ask for the replacement; returns the new program's number."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_PATIENCE)
        try:
            sock.connect(str(path))
            sock.sendall(REQUEST)
            with sock.makefile("rb") as answers:
                answer = json.loads(answers.readline() or b"{}")
        except OSError as error:
            found = f"no relay answers at {path}: {error.strerror or error}"
            right = "Start one with this configuration, or ask as the user that it runs as."
            raise StartError([Problem("relay.reload_socket", found, right)]) from None
    if "pid" in answer:
        return int(answer["pid"])
    found = f"the new program did not come: {answer.get('problem', 'the relay gave no answer')}"
    raise StartError([Problem("reload", found, "The relay goes on as before.")])
