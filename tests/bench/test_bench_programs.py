"""The programs that a measurement runs: each prints what it measured."""

import pytest
import trio

from bench.voices import bare_codecs, run_program


@pytest.mark.e2e
@pytest.mark.parametrize("program", ["sctp_ours", "sctp_aiortc"])
async def test_all_messages_arrive(program: str) -> None:
    with trio.fail_after(30):
        used = await run_program(program, 20, 65_536)
    assert used["bytes"] == 20 * 65_536
    assert used["cpu"] > 0


@pytest.mark.e2e
async def test_bare_codecs_take_a_part_of_a_core() -> None:
    with trio.fail_after(30):
        assert 0.0005 < await bare_codecs(8, 0.4) < 0.1
