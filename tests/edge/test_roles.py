"""The roles in one process and in three: the same wiring, a real call through it, reload, stop."""

import re
import socket
import time
from importlib import resources
from pathlib import Path

import attrs
import httpcore
import pytest
import trio
import trio.testing

from bench.ports import free_port
from edge.caller.exchange import Exchange
from edge.caller.opus_file import read_clip
from edge.caller.placing import Caller
from edge.caller.progress import CallerOptions
from edge.caller.signalling import CallFailed, SignalClient
from edge.certificates import CERTIFIED_ROLES, Authority
from edge.config.model import (
    Config,
    RelayConfig,
    RelayIngress,
    Role,
    SignalConfig,
    SignalIngress,
    TransceiverConfig,
    TransceiverEndpoint,
)
from edge.keys import Root, derive_bundle, new_root, rotate
from edge.roles import RunningRoles, run_roles
from edge.start import StartError

NOW = 1_800_000_000.0
ROOT = new_root(lambda size: bytes(range(size)), NOW)
KERNELS_CHOICE = ("127.0.0.1", 0)


def keyring(root: Root = ROOT):
    return {role: derive_bundle(root, role) for role in Role}


@pytest.fixture
def config() -> Config:
    media = ("127.0.0.1", free_port())
    return Config(
        signal=SignalConfig(listen=KERNELS_CHOICE, ingresses=(SignalIngress(id=4, advertise=media),)),
        relay=RelayConfig(
            hop=KERNELS_CHOICE, ingresses=(RelayIngress(id=4, advertise=media, bind=media),), http=KERNELS_CHOICE
        ),
        transceiver=TransceiverConfig(hop=KERNELS_CHOICE, control=KERNELS_CHOICE),
    )


async def get(url: str, key: str | None = None) -> httpcore.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpcore.AsyncConnectionPool() as pool:
        return await pool.request("GET", url, headers=headers)


@pytest.fixture
async def call(nursery: trio.Nursery):
    """Place a call and wait until the echo is heard."""
    exchange = Exchange()
    nursery.start_soon(exchange.run)
    clip = read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())

    async def place(url: str, key: str | None = None):
        caller = Caller(SignalClient(url, key), exchange)
        placed = await caller.place(CallerOptions(clip=clip))
        await caller.connect(placed)
        await caller.hear(placed)
        return caller, placed

    return place


async def eventually(condition) -> None:
    """Wait for what other tasks of this process will bring about."""
    with trio.fail_after(2):
        while not condition():  # noqa: ASYNC110 - sans-IO objects have no events
            await trio.sleep(0.005)


def flows(running: RunningRoles) -> float:
    metrics = running.tiers[Role.RELAY]._surroundings.metrics.render().decode()
    return float(re.search(r"^trio_voice_relay_flows (.*)$", metrics, re.MULTILINE)[1])


async def test_one_process_runs_all_three_over_its_own_sockets(nursery, config: Config, call) -> None:
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    assert running.not_ready_reason() == "", "who is told that it runs must be able to call"
    assert (await get(f"{running.url}/readyz")).status == 200
    caller, placed = await call(running.url)
    assert flows(running) == 1
    await caller.hang_up(placed)
    await eventually(lambda: flows(running) == 0)
    await running.stop()


def apart(config: Config, transceiver: RunningRoles) -> dict[Role, Config]:
    """Split a configuration into those of three processes."""
    tier = transceiver.tiers[Role.TRANSCEIVER]
    control_host, control_port = tier.control_address
    return {
        Role.RELAY: Config(
            relay=attrs.evolve(config.relay, transceivers=(("localhost", tier.hop_address[1]),))  # by name
        ),
        Role.SIGNAL: Config(
            signal=attrs.evolve(
                config.signal, transceivers=(TransceiverEndpoint(url=f"http://{control_host}:{control_port}"),)
            )
        ),
    }


async def start_apart(nursery: trio.Nursery, config: Config, relay_root: Root = ROOT) -> dict[Role, RunningRoles]:
    """Start three sets of roles that share nothing but bundles of keys and addresses."""
    transceiver = await nursery.start(run_roles, Config(transceiver=config.transceiver), keyring())
    others = apart(config, transceiver)
    relay = await nursery.start(run_roles, others[Role.RELAY], keyring(relay_root))
    if relay_root == ROOT:
        await eventually(lambda: not transceiver.not_ready_reason())
    signal = await nursery.start(run_roles, others[Role.SIGNAL], keyring())
    return {Role.TRANSCEIVER: transceiver, Role.RELAY: relay, Role.SIGNAL: signal}


async def test_three_sets_of_roles_work_together(nursery, config: Config, call) -> None:
    running = await start_apart(nursery, config)
    assert {len(roles.tiers) for roles in running.values()} == {1}
    caller, placed = await call(running[Role.SIGNAL].url)
    assert flows(running[Role.RELAY]) == 1
    await caller.hang_up(placed)
    for role in Role:
        await running[role].stop()


def with_certificates(config: Config, folder: Path, *, signal: str = "signal", role: str = "transceiver") -> Config:
    """Give both ends of the control API the certificates in a folder, perhaps the wrong ones."""
    names = {name: str(folder / name) for name in ("ca.crt", f"{role}.crt", f"{role}.key", f"{signal}.crt")}
    names |= {f"{signal}.key": str(folder / f"{signal}.key")}
    return attrs.evolve(
        config,
        signal=attrs.evolve(
            config.signal,
            control_certificate=names[f"{signal}.crt"],
            control_key=names[f"{signal}.key"],
            control_ca=names["ca.crt"],
        ),
        transceiver=attrs.evolve(
            config.transceiver,
            tls_certificate=names[f"{role}.crt"],
            tls_key=names[f"{role}.key"],
            tls_client_ca=names["ca.crt"],
        ),
    )


def certificates(folder: Path, unix_time: float | None = None) -> Path:
    authority = Authority.create(folder, time.time())
    for role in CERTIFIED_ROLES:
        authority.issue(role, name=role, days=1, unix_time=time.time() if unix_time is None else unix_time)
    return folder


async def test_the_control_api_over_mutual_tls_and_another_authority_by_a_reload(
    nursery, config: Config, call, tmp_path: Path
) -> None:
    config = with_certificates(config, certificates(tmp_path / "one"))
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    assert running.not_ready_reason() == ""
    assert "control https://" in running.tiers[Role.TRANSCEIVER].describe()
    caller, placed = await call(running.url)
    await running.reload(with_certificates(config, certificates(tmp_path / "two")), keyring())
    assert running.not_ready_reason() == ""
    await caller.hang_up(placed)
    await eventually(lambda: flows(running) == 0)
    # A transceiver that has another authority than signal is not commanded.
    apart = with_certificates(config, tmp_path / "one")
    await running.reload(
        attrs.evolve(apart, transceiver=with_certificates(config, tmp_path / "two").transceiver), keyring()
    )
    assert "is not one of" in running.not_ready_reason()
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"role": "signal"}, "transceiver.tls_certificate: .* tells the role signal"),
        ({"signal": "transceiver"}, "signal.control_certificate: .* tells the role transceiver"),
        ({"age": 2 * 86400}, "transceiver.tls_certificate: .* expired on 2"),
        ({"spoiled": "transceiver.key"}, "transceiver.tls_certificate: .* cannot be used"),
        ({"spoiled": "transceiver.crt"}, "transceiver.tls_certificate: .* cannot be used"),
        ({"spoiled": "signal.key"}, "signal.control_certificate: .* cannot be used"),
    ],
)
async def test_certificates_of_the_control_api_that_nobody_would_accept_are_named(
    config: Config, tmp_path: Path, wrong: dict, words: str
) -> None:
    folder = certificates(tmp_path / "files", time.time() - wrong.pop("age", 0.0))
    if spoiled := wrong.pop("spoiled", None):
        (folder / spoiled).write_text("nonsense")
    with pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as roles:
            await roles.start(run_roles, with_certificates(config, folder, **wrong), keyring())
    assert caught.group_contains(StartError, match=words)


async def test_foreign_keys_keep_tiers_apart(nursery, config: Config, call) -> None:
    foreign = new_root(bytes, NOW)
    running = await start_apart(nursery, config, foreign)
    assert running[Role.RELAY].not_ready_reason() == "relay: no transceiver has answered yet"
    response = await get(f"{running[Role.SIGNAL].url}/readyz")
    assert response.status == 503
    assert b"no relay has said hello yet" in response.content
    with pytest.raises(CallFailed):
        await call(running[Role.SIGNAL].url)
    nursery.cancel_scope.cancel()


async def test_every_tier_tells_its_health_and_metrics(nursery, config: Config) -> None:
    running = await start_apart(nursery, config)
    relay_http = running[Role.RELAY].tiers[Role.RELAY]._pages
    assert relay_http is not None
    transceiver = running[Role.TRANSCEIVER].tiers[Role.TRANSCEIVER]
    host, port = transceiver.control_address
    base = f"http://{host}:{port}"
    assert [(await get(f"{base}/{page}")).status for page in ("healthz", "readyz", "metrics")] == [200, 200, 200]
    own = (await get(f"{base}/metrics")).content
    assert b"trio_voice_transceiver_relays 1.0" in own
    assert b"trio_voice_relay_" not in own, "another process's"
    assert (await get(f"{base}/control/v1/status")).status == 401
    nursery.cancel_scope.cancel()


async def test_a_reload_changes_what_callers_need_and_disturbs_no_call(nursery, config: Config, call) -> None:
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    caller, placed = await call(running.url)
    with_key = attrs.evolve(config, signal=attrs.evolve(config.signal, api_keys=("sk-one",)))
    await running.reload(with_key, keyring())
    with pytest.raises(CallFailed):
        await call(running.url)
    other_caller, other = await call(running.url, "sk-one")
    await other_caller.hang_up(other)
    await running.reload(config, keyring())
    await caller.hang_up(placed)
    await eventually(lambda: flows(running) == 0)
    nursery.cancel_scope.cancel()


async def test_keys_rotate_under_calls(nursery, config: Config, call) -> None:
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    old_caller, old = await call(running.url)
    taught = rotate(ROOT, NOW)
    minting = rotate(taught, NOW)
    ufrags = [old.answer.ice_ufrag]
    for step in (taught, minting):
        await running.reload(config, keyring(step))
        assert running.not_ready_reason() == ""
        caller, placed = await call(running.url)
        ufrags.append(placed.answer.ice_ufrag)
        await caller.hang_up(placed)
    assert [ufrag[:2] for ufrag in ufrags] == ["1B", "1B", "1C"], "the second character is the key id: 1, 1, 2"
    await old_caller.hang_up(old)  # by a call id that the old key sealed
    await eventually(lambda: flows(running) == 0)
    nursery.cancel_scope.cancel()


async def test_a_stop_says_goodbye_and_frees_every_port(nursery, config: Config, call) -> None:
    async with trio.open_nursery() as roles:
        running: RunningRoles = await roles.start(run_roles, config, keyring())
        caller, placed = await call(running.url)
        with trio.fail_after(3):
            await running.stop()
    with trio.fail_after(1), pytest.raises(CallFailed, match=r"clos|end|hung"):
        await caller.ended(placed)
    async with trio.open_nursery() as roles:
        running = await roles.start(run_roles, config, keyring())
        roles.cancel_scope.cancel()


async def test_an_address_that_cannot_be_bound_is_named(config: Config) -> None:
    async def problem(broken: Config) -> str:
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(run_roles, broken, keyring())
        except* StartError as group:
            leaf: BaseException = group
            while isinstance(leaf, BaseExceptionGroup):
                (leaf,) = leaf.exceptions
        return str(leaf)

    elsewhere = ("192.0.2.254", 4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(KERNELS_CHOICE)
        tcp.bind(KERNELS_CHOICE)
        tcp.listen()
        assert config.relay is not None
        for key, section, name, value in (
            ("signal.listen", "signal", "listen", tcp.getsockname()),
            ("relay.hop", "relay", "hop", udp.getsockname()),
            ("relay.http", "relay", "http", tcp.getsockname()),
            ("transceiver.hop", "transceiver", "hop", udp.getsockname()),
            ("transceiver.control", "transceiver", "control", tcp.getsockname()),
        ):
            for address, words in ((value, "is in use by another program"), (elsewhere, "is not an address of this")):
                broken = attrs.evolve(config, **{section: attrs.evolve(getattr(config, section), **{name: address})})
                assert (await problem(broken)).startswith(f"{key}: {address[0]}:{address[1]} {words}")
        ingress = attrs.evolve(config.relay.ingresses[0], id=5, bind=udp.getsockname())
        relay = attrs.evolve(config.relay, ingresses=(*config.relay.ingresses, ingress))
        assert (await problem(attrs.evolve(config, relay=relay))).startswith("relay.ingresses[1].bind: ")
    relay = attrs.evolve(config.relay, transceivers=(("no-such-host.invalid", 4),))
    assert (await problem(attrs.evolve(config, relay=relay))).startswith("relay.transceivers[0]: ")


async def test_certificate_files_that_do_not_fit_are_named(nursery, config: Config, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("not PEM")
    signal = attrs.evolve(config.signal, tls_certificate=str(broken), tls_key=str(broken))
    with pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as roles:
            await roles.start(run_roles, attrs.evolve(config, signal=signal), keyring())
    assert caught.group_contains(StartError, match="signal.tls_certificate: ")


@pytest.mark.parametrize(("anywhere", "here"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("::1", "::1")])  # noqa: S104 - loopback of tests
async def test_tiers_of_one_process_find_each_other_on_wildcards_and_ipv6(nursery, config, anywhere, here) -> None:
    chosen = (anywhere, 0)
    everywhere = Config(
        signal=attrs.evolve(config.signal, listen=(here, 0)),
        relay=attrs.evolve(config.relay, hop=(here, 0), http=None),
        transceiver=TransceiverConfig(hop=chosen, control=chosen),
    )
    running: RunningRoles = await nursery.start(run_roles, everywhere, keyring())
    assert running.config.relay is not None
    assert running.config.relay.transceivers[0][0] == here
    assert running.not_ready_reason() == ""
    assert (await get(f"{running.url}/readyz")).status == 200
    nursery.cancel_scope.cancel()


async def test_a_page_on_all_addresses_is_announced_under_one_that_can_be_opened(nursery, config: Config) -> None:
    signal = attrs.evolve(config.signal, listen=("0.0.0.0", 0))  # noqa: S104 - as above
    running: RunningRoles = await nursery.start(run_roles, attrs.evolve(config, signal=signal), keyring())
    assert running.url is not None
    assert "0.0.0.0" not in running.url  # noqa: S104 - as above
    assert (await get(f"{running.url}/healthz")).status == 200
    nursery.cancel_scope.cancel()
