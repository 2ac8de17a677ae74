"""Judging a load test, and what the terminal says."""

import pytest

from edge.caller.load import LoadResult, Saturation, Window, judge
from edge.caller.printing import describe_load, describe_media, describe_progress, describe_setup
from edge.caller.progress import Secured
from edge.caller.results import MediaStatistics, Timeline
from srtp.profile import ProtectionProfile
from wire.core import Path

GOOD = Window(calls=100, seconds=2.0, sent=10_000, lost=0, lateness=0.001, cpu=0.4)


def window(**changes: object) -> Window:
    fields = {name: getattr(GOOD, name) for name in ("calls", "seconds", "sent", "lost", "lateness", "cpu", "ended")}
    return Window(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "side", "evidence"),
    [
        (GOOD, None, ""),
        (window(lateness=0.005), None, ""),
        (window(lateness=0.0051, cpu=0.9), "this caller", "5.1 ms late at p99.9, using 90% of a core"),
        (window(lateness=0.02, cpu=0.9, lost=50), "this caller", "20.0 ms late"),
        (window(lateness=0.02, cpu=0.3, lost=50), "this caller's machine", "only 30% of a core: other programs"),
        (window(lost=1), "server or network", "1 of 10000 packets did not come back"),
        (window(ended=2), "server or network", "2 calls ended by themselves"),
    ],
)
def test_who_was_saturated(seen: Window, side: str | None, evidence: str) -> None:
    verdict = judge(seen)
    assert (verdict.side if verdict else None) == side
    assert evidence in (verdict.why if verdict else "")


def test_progress_and_result_in_words() -> None:
    assert describe_progress(GOOD, 500) == "calls 100/500   sent 10000   lost 0   late p99.9 1.0 ms   own CPU 40%"
    held = LoadResult(held=500, reached=500, stopped_by=None, median_setup=0.0123)
    assert list(describe_load(held)) == [
        "500 calls held: no loss, and ticks in time.",
        "Set-up, median from POST to first audio: 12.3 ms",
    ]
    stopped = LoadResult(
        held=100, reached=150, stopped_by=Saturation(side="this caller", why="Because."), median_setup=None
    )
    assert list(describe_load(stopped)) == [
        "100 calls held; stopped at 150.",
        "Saturated: this caller. Because.",
        "Set-up, median from POST to first audio: -",
    ]


def test_a_call_in_words() -> None:
    secured = Secured(
        version="DTLS 1.3",
        cipher_suite="TLS_AES_128_GCM_SHA256",
        group="X25519MLKEM768",
        srtp_profile=ProtectionProfile.AEAD_AES_128_GCM,
        is_client=False,
    )
    text = "\n".join(
        describe_setup(Timeline(answer=0.01, ice=0.02, dtls=0.03, first_audio=0.05), secured, Path(("192.0.2.1", 3478)))
    )
    for fact in (
        "answer          10.0 ms",
        "ICE             20.0 ms   192.0.2.1 port 3478",
        "DTLS            30.0 ms   DTLS 1.3 as server, X25519MLKEM768",
        "first audio     50.0 ms   AEAD_AES_128_GCM",
        "TLS_AES_128_GCM_SHA256",
    ):
        assert fact in text


def test_audio_in_words() -> None:
    media = MediaStatistics(
        sent=500,
        received=498,
        lost=1,
        lost_on_the_way_there=1,
        jitter=0.0005,
        round_trip=0.02,
        echo_delay=0.021,
        dropped={"replayed": 2, "authentication": 1},
    )
    assert list(describe_media(media, 10)) == [
        "Audio, 10.0 s",
        "  packets sent 500, received 498, lost 1",
        "  lost on the way to the server, as it reports: 1",
        "  jitter           0.5 ms",
        "  round trip      20.0 ms",
        "  echo delay      21.0 ms",
        "  datagrams not used: authentication 1, replayed 2",
    ]
