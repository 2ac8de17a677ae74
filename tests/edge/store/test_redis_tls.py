"""Redis over TLS: its certificate is verified, its name included."""

import socket
import time

import pytest

from edge.certificates import Authority
from edge.config.store import StoreConfig
from edge.store.link import RedisLink
from edge.store.redis import SCRIPTS, RedisOwnership


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority.create(tmp_path / "authority", time.time())


@pytest.fixture
def start_server(redis_server, authority):
    """Start a server that shows a certificate for some hosts, and return its port."""
    with redis_server.redis_server() as server:

        def start(*hosts: str) -> int:
            certificate, key = authority.issue("signal", name="redis", hosts=hosts, days=1, unix_time=time.time())
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            server.stop()
            server.start("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
                         "--tls-ca-cert-file", str(authority.path), "--tls-auth-clients", "no")  # fmt: skip
            return port

        yield start


async def linked(nursery, config: StoreConfig) -> tuple[RedisLink, RedisOwnership]:
    link = RedisLink(config, SCRIPTS, lambda _name, _facts: None)
    await nursery.start(link.run)
    return link, RedisOwnership(link, config.prefix)


async def test_a_certificate_of_the_right_authority_and_name_is_believed(start_server, authority, nursery):
    port = start_server("127.0.0.1")
    link, store = await linked(nursery, StoreConfig(url=f"rediss://127.0.0.1:{port}", ca=str(authority.path)))
    assert link.problem == ""
    assert await store.find(1) is None


@pytest.mark.parametrize(("host", "is_ours"), [("127.0.0.1", False), ("redis.example", True)])
async def test_any_other_is_not(start_server, authority, nursery, host, is_ours):
    port = start_server(host)
    ca = str(authority.path) if is_ours else None
    link, _ = await linked(nursery, StoreConfig(url=f"rediss://127.0.0.1:{port}", ca=ca))
    assert "certificate verify failed" in link.problem.lower()
