"""The release before this one, as an operator may still run it beside ours; kept in `releases/`.

Same interpreter, same dependencies: only the import path tells which of the two a process is. That leads through a link
for each node, so that a program can also be replaced under a relay that runs, as an upgrade on its host does.
"""

import io
import lzma
import zipfile
from collections.abc import Mapping
from pathlib import Path

import attrs

import edge
from edge.version import VERSION

__all__ = ["Release", "install", "installed_on", "own_release", "unpack_former_release"]

_KEPT = Path(__file__).parent / "releases"


@attrs.frozen(kw_only=True)
class Release:
    """A program that can be run.

    Attributes:
        version: its number.
        path: what Python is to import from before all else.
    """

    version: str
    path: Path


def own_release() -> Release:
    """The code that is being tested."""
    return Release(version=VERSION, path=Path(edge.__file__).resolve().parents[1])


def unpack_former_release(folder: Path) -> Release:
    """Unpack the one that is kept."""
    (kept,) = _KEPT.glob("*.whl.xz")
    with zipfile.ZipFile(io.BytesIO(lzma.decompress(kept.read_bytes()))) as wheel:
        wheel.extractall(folder)
    return Release(version=kept.name.split("-")[1], path=folder)


def install(release: Release, folder: Path, name: str) -> None:
    """Have what a node starts from here on be of a release."""
    link, new = _link(folder, name), folder / f"{name}.new"
    new.symlink_to(release.path)
    new.rename(link)


def installed_on(folder: Path, name: str) -> Mapping[str, str]:
    """What makes a process run what is installed for its node, whatever else is on this machine."""
    return {"PYTHONPATH": str(_link(folder, name))}


def _link(folder: Path, name: str) -> Path:
    return folder / f"{name}.installed"
