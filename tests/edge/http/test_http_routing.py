"""The table of methods and paths."""

import pytest

from edge.http.messages import Request, Response, split_target
from edge.http.routing import Router


def router() -> Router:
    table = Router()
    for method, path in [
        ("GET", "/a"),
        ("POST", "/a"),
        ("GET", "/a/{id}"),
        ("DELETE", "/a/{id}"),
        ("POST", "/a/{id}/end"),
    ]:

        async def endpoint(request: Request, name: str = f"{method} {path}") -> Response:
            return Response(status=200, headers=tuple(request.parameters.items()), body=name.encode())

        table.add(method, path, endpoint)
    return table


@pytest.mark.parametrize(
    ("method", "path", "route", "parameters"),
    [
        ("GET", "/a", "GET /a", {}),
        ("POST", "/a", "POST /a", {}),
        ("HEAD", "/a", "GET /a", {}),
        ("GET", "/a/7", "GET /a/{id}", {"id": "7"}),
        ("DELETE", "/a/x y", "DELETE /a/{id}", {"id": "x y"}),
        ("POST", "/a/7/end", "POST /a/{id}/end", {"id": "7"}),
    ],
)
async def test_a_route_is_found(method, path, route, parameters):
    response = await router().handle(Request(method=method, path=path))
    assert (response.body.decode(), dict(response.headers)) == (route, parameters)


@pytest.mark.parametrize("path", ["/", "", "*", "/b", "/a/", "/a/7/", "/a//end", "/a/7/end/x", "//a", "/A"])
async def test_a_path_that_is_not_there(path, read_failure):
    failure = read_failure(await router().handle(Request(method="GET", path=path)))
    assert (failure.status, failure.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/a", "GET, POST, HEAD, OPTIONS"),
        ("get", "/a", "GET, POST, HEAD, OPTIONS"),
        ("POST", "/a/7", "GET, DELETE, HEAD, OPTIONS"),
        ("GET", "/a/7/end", "POST, OPTIONS"),
        ("HEAD", "/a/7/end", "POST, OPTIONS"),
    ],
)
async def test_a_method_that_is_not_understood(method, path, allow, read_failure):
    failure = read_failure(await router().handle(Request(method=method, path=path)))
    assert (failure.status, failure.code, failure.headers["allow"]) == (405, "method_not_allowed", allow)


async def test_options_tells_the_methods():
    response = await router().handle(Request(method="OPTIONS", path="/a/7"))
    assert (response.status, dict(response.headers)) == (204, {"Allow": "GET, DELETE, HEAD, OPTIONS"})


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("/a", ("/a", {}, None)),
        ("/a%2Fb%20c?x=1&y=&x=%3D", ("/a/b c", {"x": "=", "y": ""}, None)),
        ("/a?b?c", ("/a", {"b?c": ""}, None)),
        ("//host/a", ("//host/a", {}, None)),
        ("*", ("*", {}, None)),
        ("http://h:1", ("/", {}, "h:1")),
        ("HTTPS://H/a?b=c", ("/a", {"b": "c"}, "H")),
        ("host:443", ("host:443", {}, None)),
        ("http://[bad/", ("http://[bad/", {}, None)),
        ("/%ff", ("/\ufffd", {}, None)),
    ],
)
def test_a_target_is_taken_apart(target, parts):
    assert split_target(target) == parts
