"""The page with the Talk button: the files of `edge/pages`."""

from pathlib import Path

from edge.http.static import StaticFile, read_static_files

__all__ = ["read_pages"]

_FOLDER = Path(__file__).parent.parent / "pages"


def read_pages() -> dict[str, StaticFile]:
    """Read the page's files.

    Raises:
        OSError: the installation is damaged.
    """
    return read_static_files(_FOLDER)
