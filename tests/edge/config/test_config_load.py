"""Files and variables become records; what is wrong is named with its key, all of it at once."""

from functools import partial
from ipaddress import ip_network
from pathlib import Path

import pytest

from edge.config.embedded import embedded_tree, own_address
from edge.config.load import Loaded, load, structure
from edge.config.model import RelayIngress, Role, SignalIngress, TransceiverEndpoint
from edge.config.problems import ConfigError
from edge.config.sharing import ingresses_beside_signal
from edge.config.sources import Tree
from edge.tiers.relay_options import relay_options
from geo.regions import Place
from relay.places import HopPeers
from relay.tcp.options import TcpOptions
from wire.core import Address

ANY = "0.0.0.0"  # noqa: S104 - written, not bound

COMPLETE = """
keys = "keys"
log = { level = "debug" }

[signal]
listen = "0.0.0.0:8080"
api_keys = ["sk-one"]
allowed_origins = ["https://app.example.com"]
ingresses = ["1=203.0.113.5:3478@eu", { id = 2, advertise = "[2001:db8::5]:3478" }]
regions = ["eu=50.11/8.68"]
location = "52.52, 13.40"
location_headers = ["CF-IPLatitude", "CF-IPLongitude"]
trusted_proxies = ["10.0.0.0/8", "::1"]
limits.connections = 7

[[signal.transceivers]]
url = "http://10.0.0.3:7080"
region = "eu"

[relay]
transceivers = ["transceiver:7001"]
http = "127.0.0.1:9080"

[[relay.ingresses]]
id = 1
advertise = "203.0.113.5:3478"
bind = "10.0.0.5:3478"

[transceiver]
cluster = 3
max_call = 60
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_file(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return path

    return write_file


def problems(**arguments) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(**({"environ": {}} | arguments))
    return [str(problem) for problem in caught.value.problems]


def test_a_file_becomes_records(write) -> None:
    config = load(path=write(COMPLETE), environ={}).config
    assert config.log.level == "debug"
    assert config.signal is not None
    assert config.signal.listen == (ANY, 8080)
    assert config.signal.ingresses == (
        SignalIngress(id=1, advertise=("203.0.113.5", 3478), region="eu"),
        SignalIngress(id=2, advertise=("2001:db8::5", 3478)),
    )
    assert config.signal.transceivers == (TransceiverEndpoint(url="http://10.0.0.3:7080", region="eu"),)
    assert config.signal.regions[0].location == Place(latitude=50.11, longitude=8.68)
    assert config.signal.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert config.signal.limits.connections == 7
    assert config.relay is not None
    assert config.relay.ingresses == (RelayIngress(id=1, advertise=("203.0.113.5", 3478), bind=("10.0.0.5", 3478)),)
    assert config.relay.transceivers == (("transceiver", 7001),)
    assert config.transceiver is not None
    assert config.transceiver.max_call == 60.0


@pytest.mark.parametrize("role", Role)
def test_a_role_gets_its_own_section_only(write, role: Role) -> None:
    config = load(path=write(COMPLETE), environ={}, role=role).config
    assert [name for name in Role if getattr(config, name.value) is not None] == [role]


def test_variables_override_the_file_and_options_override_variables(write) -> None:
    environ = {
        "TRIO_VOICE_RELAY_HOP": "10.0.0.5:7100",
        "TRIO_VOICE_RELAY_INGRESSES": "4=203.0.113.9:3478,5=203.0.113.9:443/10.0.0.9:8443",
        "TRIO_VOICE_RELAY_MAX_FLOWS": "12",
        "TRIO_VOICE_RELAY_TCP_CONNECTIONS_PER_SOURCE": "3",
        "TRIO_VOICE_SIGNAL_LIMITS_CONNECTIONS": "9",
        "TRIO_VOICE_SIGNAL_LISTEN": "127.0.0.1:1",
        "TRIO_VOICE_SIGNAL_API_KEYS": "sk-two,sk-three",
    }
    options = {"signal": {"listen": "127.0.0.1:2"}}
    config = load(path=write(COMPLETE), environ=environ, options=options).config
    assert config.relay is not None
    assert config.relay.hop == ("10.0.0.5", 7100)
    assert [(item.id, item.bind) for item in config.relay.ingresses] == [
        (4, (ANY, 3478)),
        (5, ("10.0.0.9", 8443)),
    ]
    assert config.relay.max_flows == 12
    assert relay_options(config.relay, HopPeers()).tcp == TcpOptions(connections_per_source=3)
    assert config.signal is not None
    assert config.signal.listen == ("127.0.0.1", 2)
    assert config.signal.limits.connections == 9
    assert config.signal.limits.header_timeout == 10
    assert config.signal.api_keys == ("sk-two", "sk-three")


def test_a_role_runs_from_variables_alone() -> None:
    environ = {
        "TRIO_VOICE_KEYS": "/run/keys/relay.keys",
        "TRIO_VOICE_RELAY_INGRESSES": "1=203.0.113.5:3478",
        "TRIO_VOICE_RELAY_TRANSCEIVERS": "10.0.0.3:7001,10.0.0.4:7001",
    }
    relay = load(environ=environ, role=Role.RELAY).config.relay
    assert relay is not None
    assert relay.transceivers == (("10.0.0.3", 7001), ("10.0.0.4", 7001))


def test_signal_offers_the_relays_of_its_own_file(write) -> None:
    text = COMPLETE.replace('ingresses = ["1=', '#"')
    signal = load(path=write(text), environ={}, role=Role.SIGNAL).config.signal
    assert signal is not None
    assert signal.ingresses == (SignalIngress(id=1, advertise=("203.0.113.5", 3478)),)


def test_everything_wrong_is_named_at_once(write) -> None:
    text = """
key = "x"
[signal]
trusted_proxies = ["10.0.0.0/8", "10.0.0.1/8"]
[signal.limit]
[relay]
hop = "7000"
ingresses = ["1=203.0.113.5:3478", { id = 3, advertise = 4 }, { advertise = "203.0.113.5:3479" }, 7]
flows = 7
[transceiver]
hopp = "127.0.0.1:7001"
"""
    environ = {"TRIO_VOICE_TRANSCEIVER_CLUSTER": "seven"}
    variable = "environment variable TRIO_VOICE_TRANSCEIVER_CLUSTER"
    address = '"IP:PORT", such as "127.0.0.1:7000" or "[::1]:7000"'
    assert problems(path=write(text), environ=environ) == [
        'signal.trusted_proxies[1]: found "10.0.0.1/8". It should be "10.0.0.0/8".',
        "signal.limit: there is no such key. Did you mean signal.limits?",
        f'relay.hop: found "7000". It should be {address}.',
        f"relay.ingresses[1].advertise: found 4. It should be {address}.",
        "relay.ingresses[2].id: it is missing. Every entry needs it.",
        "relay.ingresses[3]: found 7. It should be a table.",
        "relay.flows: there is no such key. Did you mean relay.max_flows?",
        f'transceiver.cluster: found "seven" (from {variable}). It should be a whole number.',
        "transceiver.hopp: there is no such key. Did you mean transceiver.hop?",
        "key: there is no such key. Did you mean keys?",
    ]


def test_a_key_in_the_wrong_section_is_pointed_to_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"^api_keys: .* Did you mean signal\.api_keys\?$"):
        structure({"api_keys": []})
    with pytest.raises(ConfigError, match=r"^log\.colour: .* The keys here are: level, format\.$"):
        structure({"log": {"colour": "red"}})


def test_a_section_is_a_table() -> None:
    with pytest.raises(ConfigError, match=r"^relay: found 3\. It should be a table\.$"):
        structure({"relay": 3})
    with pytest.raises(ConfigError, match=r"^relay: found a list\. It should be a table\.$"):
        structure({"relay": []})


def test_a_wrong_api_key_is_never_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        structure({"signal": {"api_keys": "sk-secret"}})
    assert str(caught.value) == "signal.api_keys: found a string. It should be a list, in [brackets]."
    assert "sk-secret" not in repr(structure({"signal": {"api_keys": ["sk-secret"]}}))


def test_missing_broken_and_unreadable_files(write, tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert problems(path=missing) == [
        f"{missing}: there is no such file. Give the path of a TOML file; `trio-voice config` prints one to start from."
    ]
    (found,) = problems(path=write("[relay"))
    assert "not TOML" in found
    (found,) = problems(path=tmp_path)
    assert "Is a directory" in found


def test_misspelt_variables_are_warned_of_and_those_of_kubernetes_are_not() -> None:
    environ = {
        "TRIO_VOICE_SIGNAL_LISTE": "x",
        "TRIO_VOICE_RELAY_SERVICE_HOST": "10.0.0.1",
        "TRIO_VOICE_RELAY_SERVICE_PORT_MEDIA": "3478",
        "TRIO_VOICE_RELAY_PORT": "udp://10.0.0.1:3478",
        "TRIO_VOICE_RELAY_PORT_3478_UDP_ADDR": "10.0.0.1",
        "TRIO_VOICE_CONFIG": "file",
    }
    loaded = load(environ=environ, defaults=partial(embedded_tree, None))
    (warning,) = loaded.warnings
    assert warning.startswith("environment variable TRIO_VOICE_SIGNAL_LISTE is not one of ours")
    assert warning.endswith("did you mean TRIO_VOICE_SIGNAL_LISTEN?")


def embedded(own: str | None) -> Loaded:
    return load(environ={}, defaults=partial(embedded_tree, own))


def test_embedded_defaults_need_nothing_and_offer_loopback_and_the_own_address() -> None:
    loaded = embedded("192.168.1.7")
    assert loaded.warnings == ()
    config = loaded.config
    assert config.keys is None
    assert config.signal is not None
    assert config.signal.listen == ("127.0.0.1", 8080)
    offered = [("127.0.0.1", 3478), ("192.168.1.7", 3478), ("127.0.0.1", 8080)]
    assert [item.advertise for item in config.signal.ingresses] == offered
    assert config.relay is not None
    assert [(item.id, item.protocol, item.bind) for item in config.relay.ingresses] == [
        (1, "udp", ("127.0.0.1", 3478)),
        (2, "udp", ("192.168.1.7", 3478)),
        (3, "tcp", ("127.0.0.1", 8080)),
    ]
    assert config.transceiver is not None
    assert config.transceiver.control[0] == "127.0.0.1"


def test_a_machine_without_another_address_offers_loopback_only() -> None:
    signal = embedded(None).config.signal
    assert signal is not None
    assert [item.advertise for item in signal.ingresses] == [("127.0.0.1", 3478), ("127.0.0.1", 8080)]


@pytest.mark.parametrize(
    ("listen", "offered"),
    [
        ("0.0.0.0:443", ("192.168.1.7", 443)),
        ("[::]:443", ("::1", 443)),
        ("203.0.113.5:443", ("203.0.113.5", 443)),
        ("127.0.0.1:0", None),
    ],
)
def test_over_tcp_the_port_of_the_page_is_offered(listen: str, offered: Address | None) -> None:
    environ = {"TRIO_VOICE_SIGNAL_LISTEN": listen, "TRIO_VOICE_SIGNAL_API_KEYS": "k" * 20}
    config = load(environ=environ, defaults=partial(embedded_tree, "192.168.1.7")).config
    assert config.signal is not None
    over_tcp = [item.advertise for item in config.signal.ingresses if item.protocol == "tcp"]
    assert over_tcp == ([] if offered is None else [offered])
    assert [item.id for item in ingresses_beside_signal(config)] == ([] if offered is None else [3])


@pytest.mark.parametrize(
    ("ingress", "is_shared"),
    [
        ("4=tcp:203.0.113.5:443", True),
        ("4=tcp:203.0.113.5:443/10.0.0.5:443", True),
        ("4=tcp:203.0.113.5:443/10.0.0.6:443", False),
        ("4=tcp:203.0.113.5:443/10.0.0.5:8443", False),
        ("4=203.0.113.5:443/10.0.0.5:443", False),
    ],
)
def test_a_tcp_ingress_on_signals_address_is_shared(ingress: str, *, is_shared: bool) -> None:
    options: Tree = {"signal": {"listen": "10.0.0.5:443"}, "relay": {"ingresses": [ingress]}}
    config = load(environ={}, defaults=partial(embedded_tree, None), options=options).config
    assert bool(ingresses_beside_signal(config)) == is_shared
    options["keys"], options["relay"] = "keys", {"ingresses": [ingress], "transceivers": ["10.0.0.3:7001"]}
    assert ingresses_beside_signal(load(environ={}, role=Role.RELAY, options=options).config) == ()


def test_short_forms_name_the_protocol() -> None:
    options: Tree = {
        "signal": {"ingresses": ["1=tcp:203.0.113.5:443@eu", "2=udp:203.0.113.5:3478"], "regions": ["eu"]},
        "relay": {"ingresses": ["1=tcp:[2001:db8::5]:443/[::1]:8443", "2=203.0.113.5:443"]},
    }
    config = load(environ={}, defaults=partial(embedded_tree, None), options=options).config
    assert config.signal is not None
    assert config.signal.ingresses == (
        SignalIngress(id=1, advertise=("203.0.113.5", 443), region="eu", protocol="tcp"),
        SignalIngress(id=2, advertise=("203.0.113.5", 3478)),
    )
    assert config.relay is not None
    assert config.relay.ingresses == (
        RelayIngress(id=1, advertise=("2001:db8::5", 443), bind=("::1", 8443), protocol="tcp"),
        RelayIngress(id=2, advertise=("203.0.113.5", 443), bind=(ANY, 443)),
    )


def test_the_own_address_is_one_that_others_could_use() -> None:
    own = own_address()
    assert own is None or not own.startswith(("127.", "0.", "fe80:", "::1"))


def test_signal_is_in_the_region_of_its_node(tmp_path: Path) -> None:
    path = tmp_path / "signal.toml"
    text = """
keys = "keys"
[node]
region = "eu"
[signal]
transceivers = ["http://10.0.0.3:7080"]
ingresses = ["1=203.0.113.5:3478"]
regions = ["eu=50/8", "us=39/-77"]
"""
    for more, region in (("", "eu"), ('region = "us"\n', "us")):
        path.write_text(text + more)
        signal = load(path=path, environ={}, role=Role.SIGNAL).config.signal
        assert signal is not None
        assert signal.region == region
    path.write_text(text.replace("eu=50/8", "asia=1/1"))
    signal = load(path=path, environ={}, role=Role.SIGNAL).config.signal
    assert signal is not None
    assert signal.region is None, "what is said of the node need not concern callers"
