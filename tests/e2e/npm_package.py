"""The stock client from npm, installed once into a folder that git does not see."""

import json
import shutil
import subprocess
from pathlib import Path

__all__ = ["installed_client"]

_WANTED = Path(__file__).parent / "agents_client" / "package.json"
_FOLDER = Path(__file__).parents[2] / "build" / "agents-client"
_PACKAGE = "@openai/agents-realtime"
# The bundle holds all that it needs; what else comes along is not looked at, and no script of a package is run.
_INSTALL = ("npm", "install", "--no-package-lock", "--ignore-scripts", "--omit=optional", "--omit=peer", "--no-audit")
_QUIETLY = ("--no-fund", "--prefer-offline", "--loglevel=error")


def installed_client() -> Path:
    """Return the folder of the client's bundle; npm is asked only when another version is there, or none."""
    package = _FOLDER / "node_modules" / _PACKAGE
    version = json.loads(_WANTED.read_text())["dependencies"][_PACKAGE]
    if not _has(package, version):
        assert shutil.which("npm"), "npm is missing: `make test` installs it from Debian's packages"
        _FOLDER.mkdir(parents=True, exist_ok=True)
        shutil.copy(_WANTED, _FOLDER)
        done = subprocess.run([*_INSTALL, *_QUIETLY], cwd=_FOLDER, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"npm could not install {_PACKAGE} {version}:\n{done.stderr[-3000:]}"
        assert _has(package, version)
    return package / "dist" / "bundle"


def _has(package: Path, version: str) -> bool:
    try:
        return json.loads((package / "package.json").read_text())["version"] == version
    except (OSError, ValueError):
        return False
