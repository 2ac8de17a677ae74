"""A table of methods and paths."""

from collections.abc import Awaitable, Callable

import attrs

from edge.http.errors import error_response
from edge.http.messages import Request, Response

__all__ = ["Endpoint", "Router"]

Endpoint = Callable[[Request], Awaitable[Response]]
"""Answers the requests of one route."""


@attrs.frozen
class _Route:
    segments: tuple[str, ...]
    endpoints: dict[str, Endpoint] = attrs.field(factory=dict)

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Return what stands in the place of each `{name}`, None when the path is another one."""
        if len(segments) != len(self.segments):
            return None
        parameters = {}
        for expected, found in zip(self.segments, segments, strict=True):
            if expected.startswith("{"):
                if not found:
                    return None
                parameters[expected[1:-1]] = found
            elif expected != found:
                return None
        return parameters


class Router:
    """Finds the endpoint of a request; is itself a `Handler`.

    HEAD goes where GET goes; the connection leaves the content out (RFC 9110 §9.3.2).
    """

    def __init__(self) -> None:
        self._fixed: dict[str, _Route] = {}
        self._patterns: list[_Route] = []

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Add an endpoint.

        Args:
            method: such as "GET"; HEAD and OPTIONS need none of their own.
            path: as in a request; a segment `{name}` stands for any that is not empty.
            endpoint: answers; finds the segments in `Request.parameters`.
        """
        segments = tuple(path.split("/"))
        route = self._fixed.get(path) or next((each for each in self._patterns if each.segments == segments), None)
        if route is None:
            route = _Route(segments)
            if "{" in path:
                self._patterns.append(route)
            else:
                self._fixed[path] = route
        route.endpoints[method] = endpoint

    def methods(self, path: str) -> tuple[str, ...]:
        """Return the methods that a path understands; empty when there is no such path."""
        found = self._find(path)
        if found is None:
            return ()
        methods = found[0].endpoints
        return (*methods, *(("HEAD",) if "GET" in methods else ()), "OPTIONS")

    async def handle(self, request: Request) -> Response:
        """Answer with the endpoint of the request's method and path, or with 404 or 405."""
        found = self._find(request.path)
        if found is None:
            return error_response(404, "not_found", f"There is nothing at {request.path[:200]}.")
        route, parameters = found
        endpoint = route.endpoints.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            # RFC 9110 §15.5.6: the server MUST list the methods that it supports.
            allow = (("Allow", ", ".join(self.methods(request.path))),)
            if request.method == "OPTIONS":
                return Response(status=204, headers=allow)
            message = f"{request.path[:200]} does not understand {request.method[:20]}; it understands {allow[0][1]}."
            return error_response(405, "method_not_allowed", message, headers=allow)
        return await endpoint(attrs.evolve(request, parameters=parameters) if parameters else request)

    def refuse(self, request: Request, response: Response) -> Response:  # noqa: ARG002 - a handler's signature
        """Leave the server's refusals as they are."""
        return response

    def _find(self, path: str) -> tuple[_Route, dict[str, str]] | None:
        if (route := self._fixed.get(path)) is not None:
            return route, {}
        segments = path.split("/")
        for route in self._patterns:
            if (parameters := route.match(segments)) is not None:
                return route, parameters
        return None
