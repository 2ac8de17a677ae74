"""Keep a release for the tests of mixed fleets: its wheel, packed so that it is half as large.

    python deploy/keep_release.py [COMMIT]

What stood there before is replaced: only a release and the next have to understand each other.
"""

import io
import lzma
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "e2e" / "releases"
LEFT_OUT = ("edge/caller/voice.opus", ".dist-info/RECORD")


def build(commit: str, folder: Path) -> Path:
    """Build the wheel of a commit."""
    archive = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as source:
        source.extractall(folder / "source")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, folder / "source"]
    subprocess.run(pip, check=True)
    return next(folder.glob("*.whl"))


def pack(wheel: Path, to: Path) -> None:
    """Write the wheel without what tests do not need, and all its files compressed as one."""
    stored = io.BytesIO()
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(source.namelist()):
            if not name.endswith(LEFT_OUT):
                target.writestr(zipfile.ZipInfo(name), source.read(name))
    to.write_bytes(lzma.compress(stored.getvalue(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        built = build(*(sys.argv[1:] or ["HEAD"]), Path(temporary))
        kept = FOLDER / f"{built.name}.xz"
        for former in FOLDER.glob("*.whl.xz"):
            former.unlink()
        pack(built, kept)
        print(f"{kept}: {kept.stat().st_size} bytes")
