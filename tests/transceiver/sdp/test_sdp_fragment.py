"""Fragments as clients write them, and as nobody should."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stun.lite import IceCredentials
from transceiver.sdp import SdpRefused
from transceiver.sdp.fragment import MAX_CANDIDATES, MAX_FRAGMENT, Fragment, parse_fragment, serialize_fragment

CREDENTIALS = IceCredentials(ufrag="EsAw", password="P2uYro0UCOQ4zxjKXaWCBui1")
CANDIDATE = "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1"

# RFC 9725 §4.3.2's shape, as whip-whep writes it: credentials in the session part.
WHIP_WHEP = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    f"{CANDIDATE}\r\na=end-of-candidates\r\n"
)
# @eyevinn/whip-web-client: credentials below each section, every candidate for every section, LF.
EYEVINN = "".join(
    f"m=audio 9 RTP/AVP 0\na=mid:{mid}\na=ice-ufrag:EsAw\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\n{CANDIDATE}\n"
    for mid in (0, 1)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WHIP_WHEP, {"section": "audio 9 UDP/TLS/RTP/SAVPF 0", "mid": "0", "candidates": 1, "is_end": True}),
        (EYEVINN, {"section": "audio 9 RTP/AVP 0", "mid": "0", "candidates": 2}),
        (f"v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{WHIP_WHEP}", {"section": "audio 9 UDP/TLS/RTP/SAVPF 0"}),
        (WHIP_WHEP.replace("a=ice", "a=ICE").replace("a=cand", "a=Cand"), {"candidates": 1}),
    ],
)
def test_fragments_of_real_clients(text, expected) -> None:
    fragment = parse_fragment(text)
    assert fragment.credentials == CREDENTIALS
    assert {name: getattr(fragment, name) for name in expected} == expected
    assert fragment.unreadable == 0


def test_an_empty_fragment_says_nothing() -> None:
    assert parse_fragment("") == Fragment(credentials=None)


def test_what_is_unknown_is_ignored_and_what_is_no_candidate_is_counted() -> None:
    fragment = parse_fragment("a=x-new:1\nb=AS:1\nm=audio 9 X 0\na=candidate:nonsense\na=candidate:\na=setup:actpass\n")
    assert (fragment.candidates, fragment.unreadable) == (1, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a=ice-ufrag:EsAw", "not the other"),
        ("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "not the other"),
        ("a=ice-ufrag:E\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "the fragment's a=ice-ufrag"),
        ("a=ice-ufrag:EsAw\na=ice-pwd:short", "the fragment's a=ice-pwd"),
        ('{"candidate": ""}', "line 1"),
        ("a=mid:0\n\x00", "line 2"),
        ("a=" + "x" * 5000, "line 1"),
        ("a=x\n" * MAX_FRAGMENT, "characters"),
        (f"{CANDIDATE}\n" * (MAX_CANDIDATES + 1), "more than 100 candidates"),
    ],
)
def test_what_is_refused(text, reason) -> None:
    with pytest.raises(SdpRefused, match=reason):
        parse_fragment(text)


@given(st.text(alphabet="am=:\r\n ice-ufragpwdcndt012", max_size=200) | st.text(max_size=200))
def test_any_text_is_read_or_refused(text) -> None:
    with contextlib.suppress(SdpRefused):
        assert parse_fragment(text).candidates <= MAX_CANDIDATES


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_of_the_clients_breaks_the_lines_of_ours(section, mid) -> None:
    try:
        theirs = parse_fragment(f"m={section}\na=mid:{mid}\n")
    except SdpRefused:
        return
    ours = serialize_fragment(CREDENTIALS, (), theirs)
    assert len(ours.splitlines()) <= 7
    assert parse_fragment(ours).credentials == CREDENTIALS
