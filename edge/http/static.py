"""Files that are read once and served from memory.

The headers keep a page from doing what it has no need for, so that a mistake in it does less harm: no foreign scripts,
no frames, no sensors but the microphone.
"""

import hashlib
import mimetypes
from pathlib import Path

import attrs

from edge.http.messages import HeaderList, Request, Response
from edge.http.routing import Router

__all__ = ["PAGE_HEADERS", "StaticFile", "add_static_files", "read_static_files"]

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PAGE_HEADERS: HeaderList = (
    ("Content-Security-Policy", _CONTENT_SECURITY_POLICY),
    ("Permissions-Policy", "microphone=(self), autoplay=(self), camera=(), display-capture=(), geolocation=(), usb=()"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)

_TEXT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@attrs.frozen(kw_only=True)
class StaticFile:
    """A file as it is served.

    Attributes:
        body: its bytes.
        media_type: the value of its Content-Type.
        etag: changes when the bytes change.
    """

    body: bytes
    media_type: str
    etag: str

    async def handle(self, request: Request) -> Response:
        """Answer with the file, or with 304 when the client has it already."""
        # "no-cache" lets a client keep the file but makes it ask: names carry no version, and asking is cheap.
        headers = (("ETag", self.etag), ("Cache-Control", "no-cache"), *PAGE_HEADERS)
        if _lists_tag(request.headers.get("if-none-match", ""), self.etag):
            return Response(status=304, headers=headers)
        return Response(status=200, headers=(("Content-Type", self.media_type), *headers), body=self.body)


def read_static_files(folder: Path) -> dict[str, StaticFile]:
    """Read the files that lie directly in a folder, except Python's and hidden ones.

    Raises:
        OSError: the folder or a file cannot be read.
    """
    files = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix != ".py" and not path.name.startswith("."):
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            files[path.name] = StaticFile(body=body, media_type=_media_type(path), etag=etag)
    return files


def add_static_files(router: Router, files: dict[str, StaticFile], index: str = "index.html") -> None:
    """Route `/NAME` to each file, a page also without its suffix, and `/` to the index."""
    for name, file in files.items():
        router.add("GET", f"/{name}", file.handle)
        if name.endswith(".html") and name != index:
            router.add("GET", f"/{name.removesuffix('.html')}", file.handle)
    if index in files:
        router.add("GET", "/", files[index].handle)


def _media_type(path: Path) -> str:
    text = _TEXT_TYPES.get(path.suffix)
    if text is not None:
        return f"{text}; charset=utf-8"
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _lists_tag(header: str, etag: str) -> bool:
    # RFC 9110 §13.1.2: If-None-Match compares weakly, so a cache's W/ prefix does not matter.
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or tags == ["*"]
