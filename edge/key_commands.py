"""`trio-voice keys`: making, rotating and looking at keys."""

import os
import time
from datetime import timedelta
from pathlib import Path

import click

from edge.certificates import CERTIFIED_ROLES, Authority
from edge.config.model import Role
from edge.key_files import KeysError, bundle_path, load_bundle, load_root, role_of, write_all
from edge.keys import KEY_IDS, LONGEST_SECRET, Bundle, new_root, rotate, rotation_wait

__all__ = ["keys_group"]

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))


@click.group("keys", short_help="Make, rotate and look at the keys of a fleet.")
def keys_group() -> None:
    """Make, rotate and look at the keys of a fleet.

    A folder holds root.key, which no process loads, and a bundle for each role: signal.keys, relay.keys and
    transceiver.keys. Give each process its own bundle and nothing else.
    """


@keys_group.command("new")
@_folder
def new(folder: Path) -> None:
    """Make the keys of a new fleet in FOLDER."""
    written = write_all(folder, new_root(os.urandom, time.time()), is_new=True)
    *bundles, root = written
    click.echo(f"Wrote {', '.join(map(str, bundles))}.")
    click.echo(f"Wrote {root}: keep it away from all servers; only `trio-voice keys rotate` needs it.")


@keys_group.command("rotate")
@_folder
@click.option(
    "--max-call",
    type=click.FloatRange(min=0),
    default=7200.0,
    show_default=True,
    help="Longest call in seconds, as transceivers are configured. Client secrets may need a key for 2 hours anyway.",
)
@click.option("--early", is_flag=True, help="Do not wait for calls that still need the key that is dropped.")
def rotate_keys(folder: Path, max_call: float, early: bool) -> None:
    """Take the next step of a rotation of the keys in FOLDER.

    The first step teaches everybody a new key, the second lets the new key mint. Distribute the bundles and reload all
    processes (SIGHUP) after each.
    """
    root = load_root(folder)
    now = time.time()
    wait = rotation_wait(root, now, max_call)
    if wait and not early:
        raise KeysError(
            f"calls and client secrets that began with key {root.serials[0] % KEY_IDS} may still go on: "
            f"wait {_readable(wait)}, "
            "or drop it now with --early"
        )
    rotated = rotate(root, now)
    write_all(folder, rotated, is_new=False)
    newest, minting = rotated.serials[-1] % KEY_IDS, rotated.minting % KEY_IDS
    if rotated.is_rotating:
        click.echo(f"Key {newest} is in the bundles; key {minting} still mints.")
        click.echo("Distribute the bundles to every process and reload it, then run this command again.")
    else:
        click.echo(f"Key {newest} mints from now on. Distribute the bundles to every process and reload it.")
        needed = max(max_call, LONGEST_SECRET)
        click.echo(f"The next rotation drops key {rotated.serials[0] % KEY_IDS}: not within {needed:g} seconds.")


@keys_group.command("update")
@_folder
def update(folder: Path) -> None:
    """Write the bundles in FOLDER again, for a version of trio-voice that has keys for more purposes.

    No key changes, so processes that have the new bundles and such that have the old ones go on together.
    """
    *bundles, _root = write_all(folder, load_root(folder), is_new=False)
    click.echo(f"Wrote {', '.join(map(str, bundles))}. Distribute them and reload all processes (SIGHUP).")


@keys_group.command("ca")
@_folder
@click.option("--days", type=click.FloatRange(min=0.001), default=30.0, show_default=True, help="How long they live.")
def certificates(folder: Path, days: float) -> None:
    """Make a certificate authority in FOLDER, and certificates for the control API.

    One each for signal, transceiver and operator, for transceiver.tls_certificate and signal.control_certificate.
    Where an authority is there already, it issues them again: give the new ones to the processes and reload them
    (SIGHUP) before the old ones expire.
    """
    now = time.time()
    is_there = (folder / "ca.key").exists()
    authority = Authority.load(folder, now) if is_there else Authority.create(folder, now)
    for role in CERTIFIED_ROLES:
        certificate, key = authority.issue(role, name=role, days=days, unix_time=now)
        click.echo(f"Wrote {certificate} and {key}.")
    click.echo(f"{authority.path} is what both ends trust; keep {folder / 'ca.key'} away from all servers.")


@keys_group.command("certificate")
@_folder
@click.argument("role", type=click.Choice(CERTIFIED_ROLES))
@click.option("--name", help="What the files are called, such as the node's name; the role by default.")
@click.option("--host", "hosts", multiple=True, help="Name or IP address to stand in it as well; may be repeated.")
@click.option("--days", type=click.FloatRange(min=0.001), default=30.0, show_default=True, help="How long it lives.")
def certificate(folder: Path, role: str, name: str | None, hosts: tuple[str, ...], days: float) -> None:
    """Issue one certificate for the control API, by the authority in FOLDER.

    ROLE is what its holder is: signal and operator may command, a transceiver is commanded.
    """
    now = time.time()
    name = name or role
    if Path(name).name != name or name == "ca":
        raise click.UsageError(f"--name {name}: it names files in {folder}, without slashes, and other than ca")
    paths = Authority.load(folder, now).issue(role, name=name, hosts=hosts, days=days, unix_time=now)
    click.echo(f"Wrote {paths[0]} and {paths[1]}.")


@keys_group.command("show")
@click.argument("path", type=click.Path(path_type=Path))
def show(path: Path) -> None:
    """Tell which keys a bundle, or a folder of bundles, holds. No secret is shown."""
    if path.is_dir():
        found = [role for role in Role if bundle_path(path, role).exists()]
        if not found:
            raise KeysError(f"there is no bundle in {path}; `trio-voice keys new {path}` makes new keys")
        for role in found:
            click.echo(_describe(load_bundle(path, role)))
        return
    click.echo(_describe(load_bundle(path, role_of(path))))


def _describe(bundle: Bundle) -> str:
    keys = (
        f"key {key.id} made {key.created:%Y-%m-%d %H:%M} UTC{', mints' if key.id == bundle.minting else ''}"
        for key in bundle.keys
    )
    lacks = "".join(f"; no {purpose} key" for purpose in bundle.lacks())
    return f"{bundle.role}: {'; '.join(keys)}{lacks}"


def _readable(wait: timedelta) -> str:
    minutes = -(-int(wait.total_seconds()) // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
