"""What the terminal shows of a call and of a load test."""

from collections.abc import Iterator

from edge.caller.load import LoadResult, Window
from edge.caller.progress import Secured
from edge.caller.results import MediaStatistics, Timeline
from wire.core import Path

__all__ = ["describe_load", "describe_media", "describe_progress", "describe_setup"]


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def describe_setup(timeline: Timeline, secured: Secured, path: Path | None, *, over_tcp: bool = False) -> Iterator[str]:
    """Say how long the set-up took, step by step, and what was negotiated."""
    server = "" if path is None else f"{path.address[0]} {'TCP ' if over_tcp else ''}port {path.address[1]}"
    role = "client" if secured.is_client else "server"
    yield "Set-up, from the POST on"
    yield f"  answer       {_milliseconds(timeline.answer):>10}"
    yield f"  ICE          {_milliseconds(timeline.ice):>10}   {server}"
    yield f"  DTLS         {_milliseconds(timeline.dtls):>10}   {secured.version} as {role}, {secured.group}"
    yield f"  first audio  {_milliseconds(timeline.first_audio):>10}   {secured.srtp_profile.name}"
    yield f"  cipher suite {secured.cipher_suite}"


def describe_media(media: MediaStatistics, seconds: float) -> Iterator[str]:
    """Say how the audio was."""
    yield f"Audio, {seconds:.1f} s"
    yield f"  packets sent {media.sent}, received {media.received}, lost {media.lost}"
    if media.lost_on_the_way_there is not None:
        yield f"  lost on the way to the server, as it reports: {media.lost_on_the_way_there}"
    yield f"  jitter       {_milliseconds(media.jitter):>10}"
    yield f"  round trip   {_milliseconds(media.round_trip):>10}"
    yield f"  echo delay   {_milliseconds(media.echo_delay):>10}"
    if media.dropped:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(media.dropped.items()))
        yield f"  datagrams not used: {reasons}"


def describe_progress(window: Window, count: int) -> str:
    """Say in a line where a load test is."""
    return (
        f"calls {window.calls}/{count}   sent {window.sent}   lost {window.lost}   "
        f"late p99.9 {window.lateness * 1000:.1f} ms   own CPU {window.cpu:.0%}"
    )


def describe_load(result: LoadResult) -> Iterator[str]:
    """Say how a load test ended."""
    if result.stopped_by is None:
        yield f"{result.held} calls held: no loss, and ticks in time."
    else:
        yield f"{result.held} calls held; stopped at {result.reached}."
        yield f"Saturated: {result.stopped_by.side}. {result.stopped_by.why}"
    yield f"Set-up, median from POST to first audio: {_milliseconds(result.median_setup)}"
