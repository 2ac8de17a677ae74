"""`trio-voice fleet` and `trio-voice drain`: who is in the fleet, and sending one of them home."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.config.problems import UserError
from edge.serve_command import config_option

if TYPE_CHECKING:
    from edge.config.model import Config
    from edge.config.store import StoreConfig
    from edge.control.tls import ControlTls
    from edge.registry.listing import Listing
    from edge.registry.roster import Roster

__all__ = ["FleetError", "drain", "fleet"]


class FleetError(UserError):
    """The fleet does not tell, or a member does not drain; the text says why."""


@click.command("fleet", short_help="List the members of the fleet.")
@config_option
@click.option("--url", metavar="URL", help="Signal server to ask, such as http://127.0.0.1:8080, instead of the store.")
@click.option("--key", envvar="TRIO_VOICE_KEY", help="API key, which the signal server wants.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with more of each member.")
def fleet(path: Path | None, url: str | None, key: str | None, as_json: bool) -> None:
    """List who is in the fleet: load, health, versions, regions, and when each was heard last.

    With --url a running signal server is asked; otherwise the store is, which store.url of the configuration names.
    """
    from edge.registry.listing import lines_of

    listing = _by_store(path) if url is None else _by_server(url, key)
    if as_json:
        click.echo(json.dumps(listing, indent=2))
        return
    for line in lines_of(listing):
        click.echo(line)


@click.command("drain", short_help="Have a transceiver give its calls to others.")
@click.argument("node", metavar="NODE")
@config_option
def drain(node: str, path: Path | None) -> None:
    """Have the transceiver on NODE, as `trio-voice fleet` names it, take no further call and give away those it has.

    The configuration says where the store is and which keys open the transceiver's control API: that of a signal server
    has both. So has that of a transceiver, unless control APIs ask for certificates: its own does not command.
    """
    import trio

    config = _configuration(path)
    for line in trio.run(_drain, config, node):
        click.echo(line)


def _by_server(url: str, key: str | None) -> "Listing":
    from edge.server_question import ask_server

    return ask_server(url, "/fleet/members", key, FleetError)


def _by_store(path: Path | None) -> "Listing":
    import trio

    from edge.registry.listing import listing_of

    async def read() -> "Listing":
        return listing_of((await _read(_configuration(path).store)).members())

    return trio.run(read)


def _configuration(path: Path | None) -> "Config":
    """Read the configuration without a role's rules; only what is asked of it has to be there.

    Raises:
        ConfigError: a value is wrong.
        FleetError: it names no store.
    """
    from edge.config.load import structure
    from edge.config.problems import ConfigError
    from edge.config.sources import merge, read_environment, read_file
    from edge.config.store import check_store

    tree = merge(read_file(path) if path else {}, read_environment(os.environ)[0])
    config = structure(tree)
    if problems := list(check_store(config.store, config.node)):
        raise ConfigError(problems)
    if config.store.url is None:
        raise FleetError("store.url is not set, so nobody announces himself; name a file that has it with --config, or "
                         "ask a signal server with --url")  # fmt: skip
    return config


async def _read(store: "StoreConfig") -> "Roster":
    """Read who is there, once.

    Raises:
        FleetError: the store is away.
    """
    import trio

    from edge.registry.roster import Roster
    from edge.store.opening import open_stores

    stores = open_stores(store, lambda _name, _facts: None)
    roster = Roster(stores.members)
    async with trio.open_nursery() as nursery:
        await nursery.start(stores.run)
        await roster.read()
        nursery.cancel_scope.cancel()
    if roster.problem:
        raise FleetError(f"the store cannot be asked: {roster.problem}")
    return roster


async def _drain(config: "Config", node: str) -> list[str]:
    """Ask every transceiver on a node to drain; returns what to tell."""
    from edge.config.model import Role
    from edge.control.client import ControlClient, TransceiverUnreachable

    roster = await _read(config.store)
    members = [heard.member for heard in roster.members()]
    here = [member for member in members if member.name == node]
    transceivers = [member for member in here if member.kind is Role.TRANSCEIVER]
    if not here:
        known = ", ".join(sorted({member.name for member in members})) or "nobody"
        raise FleetError(f"there is no node {node!r}; the fleet has {known}")
    if not transceivers:
        kinds = " and ".join(sorted({member.kind.value for member in here}))
        raise FleetError(
            f"{node} is a {kinds}, which has no calls to give away: stop it at any time; clients go on through others"
        )
    key, tls = _credentials(config)
    told = []
    for member in transceivers:
        if tls is None and member.control.startswith("https:"):
            raise FleetError(
                f"{node} obeys only who shows a certificate of the role signal or operator: name it with "
                "signal.control_certificate, signal.control_key and signal.control_ca; `trio-voice keys ca DIR` makes "
                "operator.crt, and a transceiver's own does not command"
            )
        async with ControlClient(member.control, key, tls=tls) as client:
            try:
                await client.drain()
            except TransceiverUnreachable as error:
                raise FleetError(f"{node} does not drain: {error}") from error
        told.append(f"{node} drains: it had {member.calls} calls, and `trio-voice fleet` shows how many are left.")
    return told


def _credentials(config: "Config") -> "tuple[str, ControlTls | None]":
    """Find the bearer that the control API wants, and the certificate of signal's or an operator's where there is one.

    Raises:
        KeysError: there is no such bundle.
        StartError: the certificate cannot be used.
    """
    from edge.config.model import Role
    from edge.key_files import KeysError, bundle_path, load_bundle, role_of
    from edge.tiers.control_tls import signal_tls
    from edge.tiers.keyring import control_bearers

    if config.keys is None:
        raise KeysError("keys is not set; it should name the key bundle of signal or of a transceiver")
    path = Path(config.keys)
    if path.is_dir():
        role = next((each for each in (Role.SIGNAL, Role.TRANSCEIVER) if bundle_path(path, each).exists()), Role.SIGNAL)
    else:
        role = Role.TRANSCEIVER if role_of(path) is Role.TRANSCEIVER else Role.SIGNAL
    tls = signal_tls(config.signal) if config.signal is not None else None
    return control_bearers(load_bundle(path, role))[0], tls
