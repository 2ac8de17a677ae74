"""Who may knock: keys, and the rule for servers without any."""

import pytest

PATHS = [("POST", "/v1/realtime/calls"), ("GET", "/v1/realtime/calls/rtc_x"), ("DELETE", "/v1/realtime/calls/rtc_x")]


@pytest.mark.parametrize(
    "header", ["", "key", "Bearer", "Bearer ", "Bearer ke", "Bearer keys", "Basic key", "key Bearer"]
)
@pytest.mark.parametrize(("method", "path"), [*PATHS, ("POST", "/v1/realtime/calls/rtc_x/hangup")])
async def test_every_command_needs_a_whole_key(edge, read_failure, header, method, path):
    await edge.start(api_keys=("key",))
    failure = read_failure(await edge.ask(method, path, b"v=0\r\n", authorization=header))
    assert (failure.status, failure.code) == (401, "invalid_api_key")
    assert failure.headers["www-authenticate"].startswith("Bearer")
    assert not edge.transceivers["one"].calls


@pytest.mark.parametrize("key", ["key", "schlüssel"])
async def test_each_key_opens_from_anywhere(edge, key):
    await edge.start(api_keys=("other", key))
    header = f"Bearer {key}".encode().decode("latin-1")  # as the server reads headers
    response = await edge.call(authorization=header, peer="203.0.113.5", host="voice.example.com")
    assert response.status == 201


@pytest.mark.parametrize("peer", ["203.0.113.5", "192.168.1.2", "2001:db8::1", "fe80::1", "10.127.0.1"])
@pytest.mark.parametrize("path", ["/v1/realtime/calls", "/", "/metrics"])
async def test_without_keys_other_machines_get_nothing(edge, read_failure, peer, path):
    failure = read_failure(await edge.ask("POST", path, b"v=0\r\n", peer=peer))
    assert (failure.status, failure.code) == (403, "keyless_serves_loopback_only")
    assert "api_keys" in failure.message


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "x_real_ip", "via"])
async def test_without_keys_a_proxy_on_this_machine_is_another_machine(edge, read_failure, header):
    failure = read_failure(await edge.call(**{header: "203.0.113.5"}))
    assert failure.code == "keyless_serves_loopback_only"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST.",
        "voice.localhost:1",
        "127.0.0.1",
        "127.1.2.3:8080",
        "[::1]:8080",
        "[::1]",
    ],
)
async def test_names_of_this_machine_are_accepted(edge, host):
    assert (await edge.call(host=host)).status == 201


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "[2001:db8::1]",
        "2130706433",
    ],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_a_foreign_host_is_refused(edge, read_failure, host, method):
    failure = read_failure(await edge.ask(method, "/v1/realtime/calls", b"v=0\r\n", host=host))
    assert (failure.status, failure.code) == (403, "host_not_allowed")
    assert not edge.transceivers["one"].calls


async def test_configured_hosts_and_the_address_listened_on_are_accepted(edge):
    await edge.start(listen=("192.168.1.2", 8080), allowed_hosts=("Voice.Example.com",))
    assert (await edge.call(host="voice.example.com:443")).status == 201
    assert (await edge.call(host="192.168.1.2:8080")).status == 201


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])  # noqa: S104 - refused here
async def test_a_wildcard_is_no_name(edge, wildcard):
    await edge.start(listen=(wildcard, 8080))
    host = f"[{wildcard}]" if ":" in wildcard else wildcard
    assert (await edge.call(host=host)).status == 403


async def test_configured_hosts_bind_a_server_with_keys_too(edge, read_failure):
    await edge.start(api_keys=("key",), allowed_hosts=("voice.example.com",))
    assert (await edge.call(authorization="Bearer key", host="voice.example.com")).status == 201
    assert read_failure(await edge.call(authorization="Bearer key", host="other.example")).code == "host_not_allowed"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "file://",
        "http://127.0.0.1:8081",
        "http://localhost:8080",  # another origin than http://127.0.0.1:8080, also for browsers
        "http://127.0.0.1:8080.evil.example",
        "ftp://127.0.0.1:8080",
        "chrome-extension://127.0.0.1:8080",
        "http://[127.0.0.1:8080",
        "",
    ],
)
@pytest.mark.parametrize("keys", [(), ("key",)])
async def test_a_foreign_origin_is_refused(edge, read_failure, headers_of, origin, keys):
    await edge.start(api_keys=keys)
    for method in ("POST", "OPTIONS"):
        response = await edge.ask(method, "/v1/realtime/calls", b"v=0\r\n", origin=origin, authorization="Bearer key")
        assert read_failure(response).code == "origin_not_allowed"
        assert response.status == 403
        assert "access-control-allow-origin" not in headers_of(response)
    assert not edge.transceivers["one"].calls


async def test_metrics_are_for_this_machine_or_for_a_key(edge):
    await edge.start(api_keys=("key",))
    assert (await edge.ask("GET", "/metrics")).body == b"calls 1\n"
    assert (await edge.ask("GET", "/metrics", peer="203.0.113.5")).status == 401
    assert (await edge.ask("GET", "/metrics", x_forwarded_for="203.0.113.5")).status == 401
    assert (await edge.ask("GET", "/metrics", peer="203.0.113.5", authorization="Bearer key")).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_come_from_anywhere_under_any_name(edge, path):
    assert (await edge.ask("GET", path, peer="10.0.0.1", host="10.1.2.3:8080")).status == 200


async def test_an_empty_key_is_a_mistake_and_not_an_open_door(edge):
    with pytest.raises(ValueError, match="empty"):
        await edge.start(api_keys=("key", ""))
