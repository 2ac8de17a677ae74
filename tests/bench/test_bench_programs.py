"""The programs that a measurement runs: each prints what it measured."""

from pathlib import Path

import pytest
import trio

from bench.servers import TRANSCEIVER
from bench.voice_delay import delays_of
from bench.voices import BACKEND, ECHO, ONSETS, SOCKET, bare_codecs, run_program, voice_edge


@pytest.mark.e2e
@pytest.mark.parametrize("program", ["sctp_ours", "sctp_aiortc"])
async def test_all_messages_arrive(program: str) -> None:
    with trio.fail_after(30):
        used = await run_program(program, 20, 65_536)
    assert used["bytes"] == 20 * 65_536
    assert 0 < used["cpu"] < used["seconds"] + 0.02  # one thread; two clocks


@pytest.mark.e2e
async def test_bare_codecs_take_a_part_of_a_core() -> None:
    with trio.fail_after(30):
        assert 0.0005 < await bare_codecs(8, 0.4) < 0.1


@pytest.mark.e2e
async def test_sharp_sounds_are_heard_in_process_and_by_websocket_and_packets_come_back(tmp_path: Path) -> None:
    found: dict[str, object] = {}

    async def probe(kind: str, model: str) -> None:
        found[model] = await run_program("probe", url, 2.0, kind, model, 1)

    sides = {ONSETS: TRANSCEIVER, f"{SOCKET}-{ONSETS}": BACKEND}
    with trio.fail_after(60), voice_edge(tmp_path / "edge") as server:
        url = server.url
        async with trio.open_nursery() as nursery:
            for model in sides:
                nursery.start_soon(probe, "onsets", model)
            nursery.start_soon(probe, "echo", ECHO)
        assert server.logs is not None
        for model, side in sides.items():
            to_backend, to_ear = delays_of(found[model], (server.logs / f"{side}.log").read_text())
            assert to_backend
            assert to_ear
    assert len(found[ECHO]) > 50
    assert all(0 < delay < 5 for delay in found[ECHO])
