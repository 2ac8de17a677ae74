"""A question that a command asks a running signal server on behalf of its operator: a GET that answers with JSON."""

import json
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

import httpcore

from edge.config.problems import UserError

__all__ = ["ask_server"]

_SECONDS = 10.0


def ask_server(url: str, path: str, key: str | None, error_type: type[UserError]) -> Mapping[str, object]:
    """Ask a server, and return the object that it answers with.

    Args:
        url: base URL of the server.
        path: what is asked for, with its query.
        key: API key to show; None for none.
        error_type: what the command raises, with a text for its user.

    Raises:
        UserError: of that type; there is no such server, or it does not tell.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise error_type(f"{url!r} is no URL of a server; it should look like http://127.0.0.1:8080")
    headers = [("Authorization", f"Bearer {key}")] if key else []
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _SECONDS)
    target = f"{url.rstrip('/')}{path}"
    try:
        response = httpcore.request("GET", target, headers=headers, extensions={"timeout": timeouts})
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise error_type(f"the server at {parts.netloc} cannot be reached: {error or type(error).__name__}") from error
    try:
        content = json.loads(response.content)
        if response.status == 200:
            return cast("Mapping[str, object]", content)
        said = f"{content['error']['message']} (HTTP {response.status})"
    except (ValueError, KeyError, TypeError):
        said = f"it gave no answer that can be used (HTTP {response.status})"
    raise error_type(f"the server at {parts.netloc} does not tell: {said}")
