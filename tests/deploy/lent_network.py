"""This machine's way to Debian's and Python's packages, lent to a bare root."""

import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["lent_network", "mirror"]

_VARIABLES = {"http_proxy", "https_proxy", "no_proxy", "pip_index_url", "pip_extra_index_url", "pip_trusted_host"}
_CERTIFICATES = "/etc/certificates-for-the-build"


@contextmanager
def lent_network(root: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Give the variables and the mounts with which programs in a root find what this machine's programs find.

    What the mounts need in the root is removed behind the block.
    """
    variables = {name: value for name, value in os.environ.items() if name.lower() in _VARIABLES}
    mounts: list[str] = []
    made: list[Path] = []
    given = {name: Path(name) for name in ("/etc/resolv.conf", "/etc/pip.conf")}
    certificates = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    if certificates:
        given[_CERTIFICATES] = Path(certificates)
        variables["PIP_CERT"] = _CERTIFICATES
    for target, source in given.items():
        if source.is_file():
            point = root / target.lstrip("/")
            if not point.exists():
                point.touch()
                made.append(point)
            mounts.append(f"ro:{source}:{target}")
    try:
        yield variables, mounts
    finally:
        for point in made:
            point.unlink()


def mirror() -> str:
    """Find the mirror that this machine's own packages come from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"]
    found = subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()
    return next((uri for uri in found if uri.rstrip("/").endswith("/debian")), "http://deb.debian.org/debian")
