"""The page is served, may use the microphone, and little else."""

import re

import pytest

from edge.signal.pages import read_pages


@pytest.fixture
async def site(edge):
    return await edge.start(read_pages())


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
async def test_the_files_of_the_page(site, headers_of, path, media_type):
    response = await site.ask("GET", path)
    headers = headers_of(response)
    assert response.status == 200
    assert response.body
    assert headers["content-type"] == media_type
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "microphone=(self)" in headers["permissions-policy"]
    assert "camera=()" in headers["permissions-policy"]


async def test_a_client_that_has_the_file_is_told_so(site, headers_of):
    etag = headers_of(await site.ask("GET", "/app.js"))["etag"]
    for header in (etag, f'"other", W/{etag}', "*"):
        response = await site.ask("GET", "/app.js", if_none_match=header)
        assert (response.status, response.body) == (304, b"")
        assert headers_of(response)["etag"] == etag
    assert (await site.ask("GET", "/app.js", if_none_match='"other"')).status == 200


@pytest.mark.parametrize("path", ["/__init__.py", "/../signal/access.py", "/app.js/", "/.hidden", "//app.js"])
async def test_nothing_else_is_served(site, read_failure, path):
    assert read_failure(await site.ask("GET", path)).status == 404


async def test_pages_are_only_read(site, read_failure):
    failure = read_failure(await site.ask("POST", "/"))
    assert (failure.status, failure.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_the_page_needs_no_key(edge):
    await edge.start(read_pages(), api_keys=("key",))
    assert (await edge.ask("GET", "/", peer="203.0.113.5", host="voice.example.com")).status == 200


async def test_the_page_needs_nothing_that_its_policy_forbids(site):
    text = (await site.ask("GET", "/")).body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)
    assert not re.search(r"(?:src|href)=\"https?:", text)
