"""The caller's offer, and what it makes of answers."""

import pytest

from edge.caller.description import AnswerUnusable, make_offer, parse_answer
from transceiver.calls import AnswerIngress
from transceiver.sdp import answer, negotiate, parse_offer

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)


def offer(setup: str = "actpass") -> str:
    return make_offer(
        ice_ufrag="ufrag123",
        ice_pwd="password0123456789abcdef",
        fingerprint=FINGERPRINT,
        setup=setup,  # type: ignore[arg-type]
        session_id=1,
        ssrc=42,
        cname="name",
    )


def answered(setup: str = "actpass") -> str:
    return answer(
        negotiate(parse_offer(offer(setup))),
        ice_ufrag="server",
        ice_pwd="serverPassword0123456789",
        fingerprint=FINGERPRINT,
        setup=negotiate(parse_offer(offer(setup))).setup,
        candidates=[
            AnswerIngress(id=1, host="192.0.2.1", port=1, priority=5),
            AnswerIngress(id=2, host="2001:DB8::1", port=2, priority=7),
        ],
        session_id=2,
        ssrc=43,
        cname="other",
        msid="stream track",
    )


def test_the_transceiver_reads_the_offer() -> None:
    parsed = parse_offer(offer())
    negotiated = negotiate(parsed)
    assert (parsed.ice_ufrag, parsed.ice_pwd, parsed.setup) == ("ufrag123", "password0123456789abcdef", "actpass")
    assert [str(fingerprint) for fingerprint in parsed.fingerprints] == [FINGERPRINT]
    assert negotiated.codecs[0].payload_type == 111
    assert negotiated.transport_cc == {111}
    assert len(negotiated.extensions) == 3


@pytest.mark.parametrize(("setup", "is_client"), [("actpass", True), ("active", False), ("passive", True)])
def test_the_answer_comes_back(setup: str, is_client: bool) -> None:
    parsed = parse_answer(answered(setup))
    assert (parsed.ice_ufrag, parsed.ice_pwd) == ("server", "serverPassword0123456789")
    assert parsed.fingerprints == (FINGERPRINT,)
    assert parsed.is_dtls_client == is_client
    assert [(c.host, c.port) for c in parsed.candidates] == [("2001:db8::1", 2), ("192.0.2.1", 1)]
    assert parsed.payload_type == 111
    assert sorted(parsed.extension_ids.values()) == [1, 3, 4]
    assert parsed.sends
    assert "serverPassword" not in repr(parsed)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("v=0", "<html>", "not SDP"),
        ("m=audio 1 ", "m=audio 0 ", "refused the audio"),
        ("opus/48000/2", "other/48000/2", "does not take Opus"),
        ("a=ice-ufrag:server\r\n", "", "no a=ice-ufrag"),
        ("a=ice-pwd:serverPassword0123456789\r\n", "", "no a=ice-pwd"),
        (f"a=fingerprint:{FINGERPRINT}\r\n", "", "no a=fingerprint"),
        ("a=setup:active", "a=setup:actpass", "neither active nor passive"),
        ("a=setup:active\r\n", "", "no a=setup"),
        (" udp ", " tcp ", "no UDP candidate"),
        ("typ host", "typ", "no UDP candidate"),
    ],
)
def test_unusable_answers_are_explained(old: str, new: str, problem: str) -> None:
    assert old in answered()
    with pytest.raises(AnswerUnusable, match=problem):
        parse_answer(answered().replace(old, new))


def test_tcp_candidates_are_taken_instead_when_they_are_wanted() -> None:
    line = "a=candidate:3 1 TCP 9 192.0.2.1 443 typ host tcptype passive\r\n"
    text = answered().replace("a=end-of-candidates\r\n", line + line.replace("passive", "active"))
    assert [(c.host, c.port) for c in parse_answer(text, over_tcp=True).candidates] == [("192.0.2.1", 443)]
    assert [(c.host, c.port) for c in parse_answer(text).candidates] == [("2001:db8::1", 2), ("192.0.2.1", 1)]
    with pytest.raises(AnswerUnusable, match="no TCP candidate"):
        parse_answer(answered(), over_tcp=True)


def test_names_as_candidates_are_left_out() -> None:
    parsed = parse_answer(answered().replace(" 192.0.2.1 ", " host.local "))
    assert [candidate.host for candidate in parsed.candidates] == ["2001:db8::1"]
