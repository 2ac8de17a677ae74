"""The pages that the tests call from, in an origin of their own, as an application's are."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .npm_package import installed_client

__all__ = ["serve_pages"]

_PAGES = Path(__file__).parent / "pages"
_CLIENT = "openai-realtime-agents.umd.js"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        if path == f"/{_CLIENT}":
            return str(installed_client() / _CLIENT)
        return super().translate_path(path)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serve_pages() -> Iterator[str]:
    """Serve the folder `pages`, and the stock client beside it; gives the origin."""
    handler = functools.partial(_Handler, directory=str(_PAGES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
