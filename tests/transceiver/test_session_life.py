"""A call from the first check to its end, in both DTLS roles and in bad weather."""

import pytest

from dtls.groups import Group
from dtls.options import DtlsOptions
from dtls.versions import Version
from edge.caller.progress import Stage
from edge.caller.results import MediaStatistics
from srtp.rtcp.compound import parse_compound
from srtp.rtcp.goodbye import Goodbye
from stun.events import PathAppeared, PathSelected, PathValidated
from transceiver.describing import describe_session, drops_of
from transceiver.options import SessionOptions
from transceiver.session import State
from transceiver.session_events import DropReason, Established
from transceiver.states import TRANSITIONS, Trigger
from transceiver.timeline import Step
from wire.core import Closed
from wire.demux import Kind, kind_of

# What the client offers, and whether our answer makes us the DTLS client.
ROLES = [("actpass", True), ("passive", True), ("active", False)]


def reasons(events) -> list[str]:
    return [event.reason for event in events if isinstance(event, Closed)]


@pytest.mark.parametrize("version", [Version.DTLS_1_3, Version.DTLS_1_2])
@pytest.mark.parametrize(("setup", "is_client"), ROLES)
def test_a_call_in_every_dtls_role_and_version(
    call_network, connect, setup: str, is_client: bool, version: Version
) -> None:
    network = connect(setup=setup, dtls=DtlsOptions(versions=(version,)))
    session = network.server
    assert session.state is State.WAITING
    network.run(3)
    assert session.state is State.ESTABLISHED
    assert network.caller.secured.is_client is not is_client
    assert describe_session(session)["dtls"]["version"] == version.label
    assert [type(event) for event in network.server_events] == [
        PathAppeared,
        PathValidated,
        PathSelected,
        Established,
    ]
    assert all(event.path == call_network.CLIENT for event in network.server_events)
    media = MediaStatistics.of(network.caller)
    assert media.sent > 130
    assert media.sent - media.received <= 2 * network.delay / 0.02 + 1
    assert media.lost == 0
    assert drops_of(session) == {}


def test_the_timeline_and_what_is_told_of_a_call(connect) -> None:
    network = connect()
    session = network.server
    waiting = describe_session(session)
    assert waiting["state"] == "waiting"
    assert waiting["client"] is waiting["dtls"] is waiting["media"] is waiting["closed"] is None
    network.run(7)  # until the caller has reported twice: our first report may come after its first
    state = describe_session(session)
    assert state["state"] == "established"
    assert state["client"] == "198.51.100.7:50000"
    assert state["ingress"] == 1
    assert state["ice_round_trip_ms"] == pytest.approx(40, abs=11)
    assert state["dtls"] == {
        "version": "DTLS 1.3",
        "role": "client",
        "group": "X25519MLKEM768",
        "cipher_suite": "TLS_AES_128_GCM_SHA256",
        "srtp_profile": "AEAD_AES_128_GCM",
    }
    assert state["media"]["packets_in"] + 1 == state["media"]["packets_out"] > 80  # the opening packet, then echoes
    assert state["media"]["round_trip_ms"] == pytest.approx(40, abs=11)
    assert state["media"]["sources"][0]["lost"] == 0
    assert set(state["timeline_ms"]) == {step.value for step in Step}
    times = [state["timeline_ms"][step.value] for step in Step]
    assert times == sorted(times)
    session.close("hang-up", network.now)
    after = describe_session(session)
    assert (after["state"], after["closed"]) == ("closed", "hang-up")
    assert after["dtls"] == state["dtls"]  # for the log line of the call that has ended


def test_an_ipv6_client_is_told_with_brackets(call_network, connect) -> None:
    network = connect(client=call_network.Path(("2001:db8::7", 50000), 2))
    network.run(1)
    assert describe_session(network.server)["client"] == "[2001:db8::7]:50000"
    assert describe_session(network.server)["ingress"] == 2


@pytest.mark.parametrize(("setup", "_is_client"), ROLES)
@pytest.mark.parametrize("seed", range(3))
def test_set_up_in_bad_weather(connect, setup: str, _is_client: bool, seed: int) -> None:
    network = connect(setup=setup, loss=0.25, duplication=0.2, jitter=0.05)
    network.chance.seed(seed)
    network.run(20, until=lambda: network.caller.media is not None and network.caller.media.heard_at is not None)
    assert network.caller.stage is Stage.TALKING
    assert network.server.state is State.ESTABLISHED


def test_media_in_bad_weather_is_refused_where_it_repeats_and_nowhere_else(talk) -> None:
    network = talk()
    before = network.server.media.packets_in
    since = network.now
    network.loss, network.duplication, network.jitter = 0.1, 0.2, 0.05
    network.run(5)
    packets = [data for when, _, data in network.upstream if when > since and kind_of(data) is Kind.RTP]
    distinct = len(set(packets))
    assert len(packets) - distinct > 20
    assert network.server.media.packets_in - before == distinct
    assert drops_of(network.server)["srtp.replayed"] >= len(packets) - distinct
    # What was lost on the way to us stays lost on the way back, and what came late stays late.
    assert describe_session(network.server)["media"]["sources"][0]["lost"] > 10
    assert MediaStatistics.of(network.caller).lost > describe_session(network.server)["media"]["sources"][0]["lost"]


# -- the end


def test_a_client_that_never_comes_is_given_up(connect) -> None:
    network = connect(is_cut=True)
    assert network.server.next_timeout() == network.now + 30
    network.run(29.9)
    assert network.server.closed is None
    network.run(0.2)
    assert reasons(network.server_events) == ["never-connected"]
    assert network.server.next_timeout() is None
    assert network.downstream == []


def test_a_client_that_checks_and_never_speaks_dtls_is_given_up(call_network, connect) -> None:
    network = connect()
    network.arrives_as = lambda data: call_network.CLIENT if kind_of(data) is Kind.STUN else None
    network.run(31)
    assert reasons(network.server_events) == ["never-connected"]
    assert network.server.state is State.CLOSED


def test_a_client_whose_address_is_never_proven_is_given_up(call_network, connect) -> None:
    # Its handshake completes, but from an address that our part of it did not go to.
    network = connect(setup="active")
    elsewhere = call_network.CLIENT._replace(via=2)

    def arrives_as(data: bytes) -> object:
        if data[:2] == b"\x01\x01":
            return None  # no answer to our check
        if kind_of(data) is Kind.STUN:
            return elsewhere if network._count % 2 else call_network.CLIENT
        return call_network.CLIENT if network.server.dtls is None or data[0] == 22 else elsewhere

    network.arrives_as = arrives_as
    network.run(29)
    assert network.server.state is State.ESTABLISHED
    assert network.server.path is None
    network.run(2)
    assert reasons(network.server_events) == ["never-connected"]


def test_the_longest_call_ends(connect) -> None:
    network = connect(options=SessionOptions(max_call=3))
    network.run(2.9)
    assert network.server.state is State.ESTABLISHED
    network.run(0.2)
    assert reasons(network.server_events) == ["max-call"]
    assert reasons(network.events) == ["close-notify"]


def test_a_limit_shorter_than_the_time_to_connect_counts_too(connect) -> None:
    network = connect(options=SessionOptions(max_call=3), is_cut=True)
    network.run(3.1)
    assert reasons(network.server_events) == ["max-call"]


def test_a_client_that_falls_silent_has_taken_its_consent_back(talk) -> None:
    network = talk()
    network.is_cut = True
    network.run(0.1)  # what was under way arrives
    silent_since = max(when for when, _, _ in network.upstream)
    sent_before = len(network.downstream)
    network.run(silent_since + 30 - network.now - 0.01)
    assert network.server.closed is None
    network.run(0.1)
    assert reasons(network.server_events) == ["consent-expired"]
    # RFC 7675 §5.1: MUST cease transmission. The reports of 30 seconds went out, and no goodbye.
    assert {kind_of(data) for _, _, data in network.downstream[sent_before:]} == {Kind.RTCP}
    assert parse_compound(network.caller.media._srtp.unprotect_rtcp(network.downstream[-1][2]))
    assert network.downstream[-1][0] <= silent_since + 30
    assert describe_session(network.server)["dtls"] is not None


@pytest.mark.parametrize(("setup", "_is_client"), ROLES)
def test_closing_says_goodbye_in_rtcp_and_in_dtls(call_network, talk, setup: str, _is_client: bool) -> None:
    network = talk(setup=setup)
    before = len(network.downstream)
    network.server.close("hang-up", network.now)
    assert network.server.closed == Closed(reason="hang-up", detail="")
    assert network.server.next_timeout() is None
    network.collect()
    rtcp, dtls = [data for _, _, data in network.downstream[before:]]
    assert kind_of(dtls) is Kind.DTLS
    *_, goodbye = parse_compound(network.caller.media._srtp.unprotect_rtcp(rtcp))
    assert isinstance(goodbye, Goodbye)
    assert goodbye.ssrcs == (network.caller.media.inbound.statistics.ssrc,)
    network.run(0.1)
    assert reasons(network.events) == ["close-notify"]
    assert network.caller.stage is Stage.CLOSED
    # Once is enough, and nothing counts any more.
    network.server.close("again", network.now)
    assert network.server.closed.reason == "hang-up"
    assert list(network.server.handle_timeout(network.now + 100)) == []


def test_hanging_up_during_the_handshake_tells_the_client_too(call_network, connect) -> None:
    network = connect(setup="active")
    network.run(2, until=lambda: network.server.path is not None)
    assert network.server.state is State.CONNECTING
    network.server.close("hang-up", network.now)
    network.run(0.1)
    assert reasons(network.events) == ["close-notify"]


def test_a_client_that_hangs_up_ends_the_call(talk) -> None:
    network = talk()
    network.caller.hang_up(network.now)
    network.run(0.1)
    assert reasons(network.server_events) == ["close-notify"]
    assert network.server.state is State.CLOSED


def test_what_comes_after_the_end_is_dropped(call_network, talk) -> None:
    network = talk()
    late = [data for _, _, data in network.upstream[-20:]]
    assert {kind_of(data) for data in late} >= {Kind.RTP}
    network.server.close("hang-up", network.now)
    network.collect()
    before = len(network.downstream)
    for data in [*late, b"", b"\x00\x01", b"\x16\xfe\xfd", b"\x80\xc8"]:
        assert network.inject(data, call_network.CLIENT) == []
    assert network.server.drops == {DropReason.CLOSED: len(late) + 4}
    assert len(network.downstream) == before


def test_a_client_without_srtp_is_told_so(call_network, connect) -> None:
    network = connect(dtls=DtlsOptions(srtp_profiles=()))
    before = len(network.downstream)
    network.run(3)
    assert reasons(network.server_events) == ["no-srtp-profile"]
    assert network.server.media is None
    # The last that it heard is the end of the handshake and close_notify, nothing of media.
    assert {kind_of(data) for _, _, data in network.downstream[before:]} == {Kind.STUN, Kind.DTLS}
    assert kind_of(network.downstream[-1][2]) is Kind.DTLS


def test_a_handshake_that_fails_ends_the_call_with_its_reason(connect) -> None:
    network = connect(dtls=DtlsOptions(groups=(Group.SECP256R1,), versions=(Version.DTLS_1_3,)))
    network.run(3)
    assert reasons(network.server_events) == ["peer-alert"]
    assert network.caller.stage is Stage.CLOSED
    assert network.server.media is None


# -- the core contract


def test_every_state_can_end_and_the_end_is_final() -> None:
    assert set(TRANSITIONS) == set(State)
    assert TRANSITIONS[State.CLOSED] == {}
    for state in set(State) - {State.CLOSED}:
        assert TRANSITIONS[state][Trigger.ENDED] is State.CLOSED


def test_calling_early_does_nothing(talk) -> None:
    network = talk()
    session = network.server
    when = session.next_timeout()
    assert when > network.now
    assert session.handle_timeout(when - 0.001) == ()
    assert list(session.datagrams_to_send(when - 0.001)) == []
    session.handle_timeout(when)
    assert session.next_timeout() > when
