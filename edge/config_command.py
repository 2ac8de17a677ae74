"""`trio-voice config`: an example of the configuration, or a check of one."""

from pathlib import Path

import click

from edge.config.check import roles_of
from edge.config.example import example_file
from edge.config.model import Role
from edge.serve_command import config_option, role_option

__all__ = ["config"]


@click.command("config", short_help="Print an example configuration, or check one.")
@role_option
@config_option
@click.option("--check", is_flag=True, help="Check the configuration that `serve` would use, and print nothing else.")
def config(role: str | None, path: Path | None, check: bool) -> None:
    """Print an example configuration with every key explained, or check one."""
    only = Role(role) if role else None
    if not check:
        if path is not None:
            raise click.UsageError("--config needs --check: an example is printed, not read.")
        click.echo(example_file(only), nl=False)
        return
    from edge.launch import Launch
    from edge.serve import load_keys

    loaded = Launch(path=path, role=only).load()
    _, warnings = load_keys(loaded.config)
    for warning in (*loaded.warnings, *warnings):
        click.echo(f"Warning: {warning}.")
    click.echo(f"The configuration is good for: {', '.join(roles_of(loaded.config))}.")
