"""The rules between values: each problem names its key and what would be right."""

from pathlib import Path

import pytest

from edge.config.check import check, warnings_about
from edge.config.load import load, structure
from edge.config.model import Role
from edge.config.problems import ConfigError
from edge.config.sources import merge

GOOD = {
    "keys": "keys",
    "signal": {"ingresses": ["1=203.0.113.5:3478"], "transceivers": ["http://10.0.0.3:7080"]},
    "relay": {"ingresses": ["1=203.0.113.5:3478"], "transceivers": ["10.0.0.3:7001"]},
    "transceiver": {},
}


def problems(change: dict) -> list[str]:
    return [str(problem) for problem in check(structure(merge(GOOD, change)))]


def test_a_good_configuration_has_no_problem() -> None:
    assert problems({}) == []


@pytest.mark.parametrize(
    ("change", "start", "end"),
    [
        ({"log": {"level": "loud"}}, 'log.level: found "loud".', 'or "error".'),
        ({"node": {"address": "::"}}, 'node.address: found "::".', "reach this machine."),
        ({"node": {"address": "voice.local"}}, 'node.address: found "voice.local".', "reach this machine."),
        ({"store": {"url": "http://redis"}}, 'store.url: found "http://redis".', '"unix:///PATH".'),
        ({"store": {"url": "redis://:secret@redis"}}, "store.url: found a string.", "store.password_file."),
        ({"store": {"url": "redis://r", "ca": __file__}}, "store.ca: found a file.", "speaks no TLS."),
        ({"store": {"url": "rediss://r", "ca": "none.pem"}}, 'store.ca: there is no file "none.pem".', "be read."),
        ({"store": {"timeout": 0}}, "store.timeout: found 0.", "more than 0 seconds."),
        ({"log": {"format": "xml"}}, 'log.format: found "xml".', 'or "json".'),
        ({"signal": {"listen": "localhost:1"}}, "signal.listen: found the name", '"127.0.0.1:1".'),
        ({"signal": {"ingress_count": 0}}, "signal.ingress_count: found 0.", "at least 1."),
        ({"signal": {"max_calls_per_second": -1}}, "signal.max_calls_per_second: found -1.", "at least 0."),
        ({"signal": {"max_calls_under_way": 0}}, "signal.max_calls_under_way: found 0.", "at least 1."),
        ({"signal": {"max_call_wait": 30}}, "signal.max_call_wait: found 30.", "30 seconds."),
        ({"signal": {"tcp_ingress_count": -1}}, "signal.tcp_ingress_count: found -1.", "at least 0."),
        (
            {"signal": {"ingresses": [{"id": 1, "advertise": "203.0.113.5:1", "protocol": "sctp"}]}},
            'signal.ingresses[0].protocol: found "sctp".',
            '"udp" or "tcp".',
        ),
        (
            {"relay": {"ingresses": [{"id": 1, "advertise": "203.0.113.5:1", "protocol": "TCP"}]}},
            'relay.ingresses[0].protocol: found "TCP".',
            '"udp" or "tcp".',
        ),
        (
            {"relay": {"ingresses": ["1=tcp:203.0.113.5:1", "2=tcp:203.0.113.6:1"]}},
            "relay.ingresses[1].bind: 0.0.0.0:1 is taken by relay.ingresses[0].bind.",
            "arrive at.",
        ),
        ({"signal": {"ingresses": []}}, "signal.ingresses: there is none.", '"1=203.0.113.5:3478"], or set store.url.'),
        ({"signal": {"ingresses": ["0=203.0.113.5:1"]}}, "signal.ingresses[0].id: found 0.", "1 to 65535."),
        ({"signal": {"ingresses": ["1=0.0.0.0:1"]}}, "signal.ingresses[0].advertise: found 0.0.0.0:1.", ':1").'),
        ({"signal": {"ingresses": ["1=example.com:1"]}}, "signal.ingresses[0].advertise: found the name", ':1").'),
        ({"signal": {"ingresses": ["1=203.0.113.5:0"]}}, "signal.ingresses[0].advertise: found port 0.", "usual."),
        ({"signal": {"transceivers": ["10.0.0.3:7080"]}}, "signal.transceivers[0].url: found", ':7080".'),
        ({"signal": {"transceivers": ["http://a/path"]}}, "signal.transceivers[0].url: found", ':7080".'),
        ({"signal": {"transceivers": ["http://a:x"]}}, "signal.transceivers[0].url: found", ':7080".'),
        (
            {"transceiver": {"tls_key": __file__, "tls_client_ca": __file__}},
            "transceiver.tls_certificate: it is missing.",
            "tls_client_ca.",
        ),
        (
            {"transceiver": {"tls_certificate": __file__, "tls_key": __file__}},
            "transceiver.tls_client_ca: it is missing.",
            "transceiver.tls_client_ca.",
        ),
        (
            {"signal": {"control_certificate": __file__, "control_key": __file__, "control_ca": "no.pem"}},
            'signal.control_ca: there is no file "no.pem".',
            "PEM file.",
        ),
        ({"signal": {"region": "eu"}}, 'signal.region: found "eu", which is no region.', "none yet."),
        (
            {"signal": {"regions": [{"name": "eu", "capacity": -1}]}},
            "signal.regions[0].capacity: found -1.",
            "no bound.",
        ),
        ({"signal": {"regions": ["eu", "eu"]}}, 'signal.regions[1].name: found "eu" again.', "one entry."),
        (
            {"signal": {"regions": ["eu"], "residency": ["DE=eu+us"]}},
            'signal.residency[0].regions[1]: found "us", which is no region.',
            "are: eu.",
        ),
        ({"signal": {"residency": [{"regions": []}]}}, "signal.residency[0].regions: there is none.", "allowed."),
        (
            {"signal": {"regions": ["eu"], "residency": ["Germany=eu"]}},
            'signal.residency[0].countries[0]: found "Germany".',
            "nobody knows.",
        ),
        (
            {"signal": {"regions": ["eu"], "residency": [{"regions": ["eu"], "api_keys": ["secret"]}]}},
            "signal.residency[0].api_keys[0]: it is not among signal.api_keys.",
            "drop it here.",
        ),
        (
            {"signal": {"country_header": "X-Country"}},
            "signal.trusted_proxies: there is none.",
            "nobody else is believed.",
        ),
        (
            {"signal": {"location_database": "nowhere.mmdb"}},
            'signal.location_database: there is no file "nowhere.mmdb".',
            "(.mmdb).",
        ),
        ({"signal": {"transceivers": ["http://a@eu"]}}, 'signal.transceivers[0].region: found "eu"', "none yet."),
        (
            {"signal": {"ingresses": ["1=203.0.113.5:1@us"], "regions": ["eu"]}},
            'signal.ingresses[0].region: found "us"',
            "The regions are: eu.",
        ),
        ({"signal": {"regions": ["eu", "eu=1/2"]}}, 'signal.regions[1].name: found "eu" again.', "one entry."),
        ({"signal": {"location_headers": ["X"]}}, "signal.location_headers: found 1 names.", 'ude"].'),
        ({"signal": {"location_headers": ["X", "Y"]}}, "signal.trusted_proxies: there is none.", "believed."),
        ({"signal": {"allowed_origins": ["*"]}}, 'signal.allowed_origins[0]: found "*"', "name the pages."),
        ({"signal": {"allowed_origins": ["app.example"]}}, "signal.allowed_origins[0]: found", 'example.com".'),
        ({"signal": {"allowed_origins": ["https://a/"]}}, "signal.allowed_origins[0]: found", 'example.com".'),
        ({"signal": {"allowed_hosts": ["https://a"]}}, "signal.allowed_hosts[0]: found", 'example.com".'),
        ({"signal": {"api_keys": ["two words"]}}, "signal.api_keys[0]: it has characters", "without spaces."),
        ({"signal": {"tls_key": __file__}}, "signal.tls_certificate: it is missing.", "signal.tls_key."),
        ({"signal": {"limits": {"body_bytes": 0}}}, "signal.limits.body_bytes: found 0.", "at least 1."),
        ({"signal": {"limits": {"idle_timeout": 0}}}, "signal.limits.idle_timeout: found 0.", "0 seconds."),
        ({"relay": {"ingresses": []}}, "relay.ingresses: there is none.", '3478"].'),
        ({"relay": {"hop": "relay:7000"}}, "relay.hop: found the name", '"0.0.0.0:7000".'),
        ({"relay": {"http": "localhost:1"}}, "relay.http: found the name", '"127.0.0.1:1".'),
        (
            {"relay": {"ingresses": ["1=203.0.113.5:1", "1=203.0.113.6:2"]}},
            "relay.ingresses[1].id: found 1 again.",
            "of its own.",
        ),
        (
            {"relay": {"ingresses": ["1=203.0.113.5:1", "2=203.0.113.6:1"]}},
            "relay.ingresses[1].bind: 0.0.0.0:1 is taken by relay.ingresses[0].bind.",
            "arrive at.",
        ),
        (
            {"relay": {"ingresses": ["1=203.0.113.5:7000"]}},
            "relay.ingresses[0].bind: 0.0.0.0:7000 is taken by relay.hop.",
            "arrive at.",
        ),
        (
            {"relay": {"ingresses": ["1=[2001:db8::1]:1/0.0.0.0:1"]}},
            "relay.ingresses[0].bind: found 0.0.0.0:1.",
            "[2001:db8::1]:1.",
        ),
        ({"relay": {"transceivers": ["10.0.0.3:0"]}}, "relay.transceivers[0]: found 10.0.0.3:0.", "its port."),
        ({"relay": {"transceivers": ["0.0.0.0:1"]}}, "relay.transceivers[0]: found 0.0.0.0:1.", "its port."),
        ({"relay": {"cluster": 65536}}, "relay.cluster: found 65536.", "0 to 65535."),
        (
            {"relay": {"cluster_relays": ["65536=10.2.0.1:7000"]}},
            "relay.cluster_relays[0].cluster: found 65536.",
            "0 to 65535.",
        ),
        (
            {"relay": {"cluster_relays": ["2=10.2.0.1:0"]}},
            "relay.cluster_relays[0].hop: found 10.2.0.1:0.",
            "that the relay is reached at, with its port.",
        ),
        (
            {"relay": {"cluster": 2, "cluster_relays": ["2=10.2.0.1:7000"]}},
            "relay.cluster_relays[0].cluster: found 2, its own.",
            "other clusters here.",
        ),
        (
            {"relay": {"cluster_relays": ["2=10.2.0.1:7000", "3=10.2.0.1:7000"]}},
            "relay.cluster_relays[1].hop: found 10.2.0.1:7000 again.",
            "one relay of one cluster.",
        ),
        (
            {"relay": {"cluster_relays": ["2=10.0.0.3:7001"]}},
            "relay.cluster_relays[0].hop: found 10.0.0.3:7001 again.",
            "one relay of one cluster.",
        ),
        ({"relay": {"tcp": {"connections": 0}}}, "relay.tcp.connections: found 0.", "at least 1."),
        (
            {"relay": {"tcp": {"connections_per_source": 0}}},
            "relay.tcp.connections_per_source: found 0.",
            "at least 1.",
        ),
        ({"relay": {"tcp": {"opening": 5000}}}, "relay.tcp.opening: found 5000.", "left for calls."),
        ({"relay": {"tcp": {"opening_timeout": 0}}}, "relay.tcp.opening_timeout: found 0.", "0 seconds."),
        ({"relay": {"tcp": {"stuck_timeout": -1}}}, "relay.tcp.stuck_timeout: found -1.", "0 seconds."),
        ({"relay": {"tcp": {"grace": 6}}}, "relay.tcp.grace: found 6.", "opening_timeout, 5 seconds."),
        ({"relay": {"tcp": {"grace": -1}}}, "relay.tcp.grace: found -1.", "opening_timeout, 5 seconds."),
        ({"relay": {"tcp": {"queue": 100}}}, "relay.tcp.queue: found 100.", "media_queue, 4096 bytes."),
        ({"relay": {"tcp": {"media_queue": 0}}}, "relay.tcp.media_queue: found 0.", "at least 1."),
        ({"relay": {"max_flows": 0}}, "relay.max_flows: found 0.", "at least 1."),
        ({"relay": {"max_call": 60}}, "relay.max_call: found 60.", "transceiver.max_call, 7200."),
        ({"signal": {"max_calls_per_key": -1}}, "signal.max_calls_per_key: found -1.", "should be at least 0."),
        ({"signal": {"max_offers_per_minute": -1}}, "signal.max_offers_per_minute: found -1.", "should be at least 0."),
        ({"transceiver": {"cluster": 65536}}, "transceiver.cluster: found 65536.", "0 to 65535."),
        ({"transceiver": {"backend": "owl"}}, 'transceiver.backend: found "owl".', "or the name of a [[backend]]."),
        ({"transceiver": {"voice": {"listening": "?"}}}, 'transceiver.voice.listening: found "?".', '"accurate".'),
        ({"transceiver": {"voice": {"bitrate": 41_000}}}, "transceiver.voice.bitrate: found 41000.", "40000."),
        ({"transceiver": {"voice": {"bitrate": 11_000}}}, "transceiver.voice.bitrate: found 11000.", "40000."),
        ({"transceiver": {"voice": {"min_bitrate": 1}}}, "transceiver.voice.min_bitrate: found 1.", "510000 bit/s."),
        ({"transceiver": {"voice": {"complexity": 11}}}, "transceiver.voice.complexity: found 11.", "0 to 10."),
        ({"transceiver": {"max_call": -1, "connect_timeout": 1}}, "transceiver.max_call: found -1.", "0 seconds."),
    ],
)
def test_each_rule(change: dict, start: str, end: str) -> None:
    (problem,) = problems(change)
    assert problem.startswith(start)
    assert problem.endswith(end)


def test_tls_files_must_be_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.pem")
    found = problems({"signal": {"tls_certificate": __file__, "tls_key": missing}})
    assert found == [f'signal.tls_key: there is no file "{missing}". Give the path of a PEM file.']


@pytest.mark.parametrize(
    ("role", "keys"),
    [
        (Role.SIGNAL, ["signal.transceivers", "signal.ingresses", "keys"]),
        (Role.RELAY, ["relay.ingresses", "relay.transceivers", "keys"]),
        (Role.TRANSCEIVER, ["keys"]),
    ],
)
def test_a_role_alone_says_what_it_needs(role: Role, keys: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={}, role=role)
    assert [problem.key for problem in caught.value.problems] == keys


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signal": {"listen": "0.0.0.0:8080", "tls_certificate": "x"}}, "only callers on this machine"),
        ({"signal": {"listen": "0.0.0.0:8080", "api_keys": ["k"]}}, "plain HTTP"),
        ({"transceiver": {"control": "10.0.0.3:7080"}}, "not encrypted"),
        (
            {"signal": {"control_certificate": "c", "control_key": "k", "control_ca": "a"}},
            "signal.transceivers[0].url is http://10.0.0.3:7080: with http, signal.control_certificate is not used",
        ),
    ],
)
def test_what_is_probably_not_meant_is_warned_of(change: dict, words: str) -> None:
    (warning,) = warnings_about(structure(merge(GOOD, change)))
    assert words in warning
    assert list(warnings_about(structure(GOOD))) == []


def test_a_relay_of_a_cluster_needs_no_public_address(tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    path.write_text('keys = "here"\n[relay]\ncluster = 2\ntransceivers = ["10.0.0.3:7001"]\n')
    config = load(path=path, environ={}, role=Role.RELAY).config
    assert config.relay is not None
    assert (config.relay.cluster, config.relay.ingresses) == (2, ())


def test_a_global_relay_needs_no_transceivers_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    path.write_text('keys = "here"\n[relay]\ningresses = ["1=203.0.113.5:3478"]\ncluster_relays = ["2=inner:7000"]\n')
    config = load(path=path, environ={}, role=Role.RELAY).config
    assert config.relay is not None
    assert [(each.cluster, each.hop) for each in config.relay.cluster_relays] == [(2, ("inner", 7000))]


@pytest.mark.parametrize("short", ["inner:7000", "two=inner:7000", "=inner:7000"])
def test_a_relay_of_another_cluster_in_a_wrong_short_form(short: str) -> None:
    with pytest.raises(ConfigError, match="CLUSTER=HOST:PORT"):
        load(environ={"TRIO_VOICE_RELAY_CLUSTER_RELAYS": short}, role=Role.RELAY)


@pytest.mark.parametrize("role", Role)
def test_who_has_a_store_need_not_be_told_of_the_others(role: Role) -> None:
    options = {"keys": "keys", "store": {"url": "redis://redis"}, "relay": {"ingresses": ["1=203.0.113.5:3478"]}}
    load(environ={}, role=role, options=options)


def test_a_fleet_of_whole_nodes_needs_keys_in_common() -> None:
    config = structure({"store": {"url": "redis://redis"}, **{role.value: {} for role in Role}})
    assert "keys" in [problem.key for problem in check(config)]


def test_signal_beside_a_transceiver_that_wants_a_certificate_needs_one() -> None:
    tls = {"tls_certificate": __file__, "tls_key": __file__, "tls_client_ca": __file__}
    config = structure({"signal": {"ingresses": ["1=203.0.113.5:3478"]}, "relay": GOOD["relay"], "transceiver": tls})
    assert [problem.key for problem in check(config)] == ["signal.control_certificate"]


def test_a_control_address_with_certificates_may_be_reached_by_others() -> None:
    tls = {"control": "10.0.0.3:7080", "tls_certificate": "c", "tls_key": "k", "tls_client_ca": "a"}
    assert list(warnings_about(structure(merge(GOOD, {"transceiver": tls})))) == []
