"""`trio-voice call`: the command line of the caller."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from importlib import resources
from pathlib import Path as FilePath

import attrs
import click
import trio

from dtls.options import DtlsOptions
from dtls.versions import Version
from edge.caller.conversing import Conversing
from edge.caller.description import OfferedSetup
from edge.caller.exchange import Exchange
from edge.caller.load import Window, ramp
from edge.caller.ogg import OggError
from edge.caller.opus_file import Clip, OpusRecording, read_clip
from edge.caller.placing import Call, Caller
from edge.caller.printing import describe_load, describe_media, describe_progress, describe_setup
from edge.caller.progress import CallerOptions
from edge.caller.recording import Recording
from edge.caller.results import MediaStatistics
from edge.caller.signalling import CallFailed, SignalClient
from edge.caller.wav_file import WavError, WavRecording, read_wav
from transceiver.audio.library import OpusUnavailable

__all__ = ["call"]

_SETUPS: dict[str | None, OfferedSetup] = {None: "actpass", "client": "active", "server": "passive"}
_VERSIONS = {"1.2": (Version.DTLS_1_2,), "1.3": (Version.DTLS_1_3,)}


_Work = Callable[[Caller, Exchange], Awaitable[None]]


@click.command("call", short_help="Call a server, without a browser.")
@click.argument("url")
@click.option(
    "--wav",
    type=click.Path(exists=True, dir_okay=False, path_type=FilePath),
    help="WAV file to say, of any rate and width: once, then silence; over and over with --count.",
)
@click.option(
    "--packets",
    type=click.Path(exists=True, dir_okay=False, path_type=FilePath),
    help="Ogg Opus file whose packets are sent as they are, over and over.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=FilePath),
    help="File for what comes back: .wav to decode it, .opus to keep the packets as they are.",
)
@click.option("--events", is_flag=True, help="Show the events of the conversation as they come.")
@click.option("--text", help="What to write to the agent, such as 'call get_time {}'; shows the events, too.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="How long to talk.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="Calls at the same time.")
@click.option("--key", envvar="TRIO_VOICE_KEY", help="API key of the server.")
@click.option("--dtls-role", type=click.Choice(["client", "server"]), help="DTLS role to insist on.")
@click.option("--tcp", is_flag=True, help="Use TCP candidates only, as on a network that blocks UDP.")
@click.option(
    "--restart-ice-after",
    "restart_after",
    type=click.FloatRange(min=0.0),
    metavar="SECONDS",
    help="Restart ICE after so long; audio goes on.",
)
@click.option("--dtls", "version", type=click.Choice(sorted(_VERSIONS)), help="DTLS version to insist on.")
def call(
    url: str,
    wav: FilePath | None,
    packets: FilePath | None,
    record: FilePath | None,
    events: bool,
    text: str | None,
    seconds: float,
    count: int,
    key: str | None,
    dtls_role: str | None,
    version: str | None,
    tcp: bool,
    restart_after: float | None,
) -> None:
    """Call the server at URL, such as http://127.0.0.1:8080, and say how it went.

    A spoken clip is sent unless --wav or --packets names another sound, and whatever comes back is measured. With
    --count, calls are added until all are there, or until the first packet is lost, or until more than one tick of this
    caller in a thousand comes over 5 ms late; then it says whether this caller or the server was at its limit.
    """
    if count > 1 and record is not None:
        raise click.UsageError("--record is for a single call; leave --count away")
    if count > 1 and (events or text is not None):
        raise click.UsageError("--events and --text are for a single call; leave --count away")
    if count > 1 and restart_after is not None:
        raise click.UsageError("--restart-ice-after is for a single call; leave --count away")
    if restart_after is not None and restart_after >= seconds:
        raise click.UsageError("--restart-ice-after comes after the end of the call; raise --seconds")
    if wav is not None and packets is not None:
        raise click.UsageError("--wav and --packets both say what to say; leave one away")
    with ExitStack() as stack:
        try:
            clip = _read_clip(wav, packets, seconds, repeats=count > 1)
            recording = None if record is None else _open_recording(record, stack)
        except (OggError, WavError) as problem:
            raise click.ClickException(f"{wav or packets}: {problem}") from problem
        except OpusUnavailable as problem:
            raise click.ClickException(str(problem)) from problem
        except OSError as problem:
            raise click.ClickException(f"{problem.filename}: {problem.strerror}") from problem
        dtls = DtlsOptions(versions=_VERSIONS[version]) if version is not None else DtlsOptions()
        options = CallerOptions(
            clip=clip,
            setup=_SETUPS[dtls_role],
            dtls=dtls,
            recording=recording,
            has_events=events or text is not None,
            over_tcp=tcp,
        )
        work = _load(options, seconds, count) if count > 1 else _talk(options, seconds, text, restart_after)
        failure = trio.run(_until_interrupted, url, key, work)
        if recording is not None:
            recording.finish()
            click.echo(f"Recorded {recording.seconds:.1f} s to {record}")
    if failure is not None:
        raise click.ClickException(failure)


def _read_clip(wav: FilePath | None, packets: FilePath | None, seconds: float, *, repeats: bool) -> Clip:
    if wav is not None:
        return read_wav(wav, seconds=seconds, repeats=repeats)
    if packets is not None:
        return read_clip(packets.read_bytes())
    return read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())


def _open_recording(path: FilePath, stack: ExitStack) -> Recording:
    kind = path.suffix.lower()
    if kind not in (".wav", ".opus", ".ogg"):
        raise click.UsageError(f"--record {path}: the name must end in .wav or .opus, to say what to write")
    file = stack.enter_context(path.open("wb"))
    return WavRecording(file) if kind == ".wav" else OpusRecording(file, int.from_bytes(os.urandom(4), "big"))


async def _until_interrupted(url: str, key: str | None, work: _Work) -> str | None:
    """Do the work, or as much as there is before Ctrl-C; return what went wrong."""
    failure: str | None = None
    working = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        await nursery.start(_cancel_on_signal, working)
        exchange = Exchange()
        nursery.start_soon(exchange.run)
        try:
            signalling = SignalClient(url, key)
            with working:
                await work(Caller(signalling, exchange), exchange)
            await signalling.aclose()
        except CallFailed as problem:
            failure = str(problem)
        nursery.cancel_scope.cancel()
    return failure


async def _cancel_on_signal(
    working: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            working.cancel()


def _talk(options: CallerOptions, seconds: float, text: str | None, restart_after: float | None) -> _Work:
    """Make a single call."""

    def show(line: str) -> None:
        _print([line])

    async def talk(caller: Caller, _: Exchange) -> None:
        call = await caller.place(options)
        if options.has_events:
            call = attrs.evolve(call, see=Conversing(call.session, call.line.flush, text, show).see)
        try:
            secured = await caller.connect(call)
            await caller.hear(call)
            _print(describe_setup(call.timeline, secured, call.session.path, over_tcp=options.over_tcp))
            with trio.move_on_after(seconds):
                if restart_after is not None:
                    await _restart_ice(caller, call, restart_after)
                await caller.ended(call)
        finally:
            if (since := call.session.secured_at) is not None:
                _print(describe_media(MediaStatistics.of(call.session), trio.current_time() - since))
            await caller.hang_up(call)

    return talk


async def _restart_ice(caller: Caller, call: Call, after: float) -> None:
    with trio.move_on_after(after):
        await caller.ended(call)
    await caller.restart_ice(call)
    _print([f"ICE was restarted after {after:g} s"])


def _load(options: CallerOptions, seconds: float, count: int) -> _Work:
    """Make many."""

    def show(window: Window) -> None:
        click.echo(describe_progress(window, count))

    async def load(caller: Caller, exchange: Exchange) -> None:
        result = await ramp(caller, exchange, options, count=count, seconds=seconds, show=show)
        _print(describe_load(result))

    return load


def _print(lines: Iterable[str]) -> None:
    try:
        for line in lines:
            click.echo(line)
    except BrokenPipeError:
        # Whoever read it has gone (`| head`); the call still ends properly, and what follows goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
