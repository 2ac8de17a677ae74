"""What of a process is moved into large pages."""

import pytest
import trio
import trio.testing

import edge.large_pages
from edge.large_pages import collapse_all, settle_into_large_pages, use_large_pages

LARGE = 0x200000
MAPS = """\
00400000-00800000 rw-p 00000000 fe:01 123                                /usr/lib/libpython3.11.so.1.0
00a00000-00e01000 rw-p 00000000 00:00 0                                  [heap]
10100000-10700000 rw-p 00000000 00:00 0
20000000-20400000 r--p 00000000 00:00 0
30000000-30400000 rw-s 00000000 00:01 77                                 /dev/zero (deleted)
40000000-401ff000 rw-p 00000000 00:00 0
50000000-50400000 rw-p 00000000 00:00 0                                  [stack]
""".splitlines()


def test_what_is_private_memory_becomes_large_pages_where_whole_ones_fit() -> None:
    asked: list[tuple[int, int]] = []

    def collapse(start: int, size: int) -> bool:
        asked.append((start, size))
        return start != 0x10200000  # the kernel may refuse one, and that is all

    assert collapse_all(MAPS, collapse) == 3
    assert asked == [(start, LARGE) for start in (0xA00000, 0xC00000, 0x10200000, 0x10400000)]


def test_a_process_goes_on_whatever_its_kernel_says() -> None:
    before = bytearray(b"x" * (5 * LARGE))
    assert use_large_pages() >= 0
    assert before == b"x" * (5 * LARGE)


async def test_nobody_who_waits_for_a_start_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    moved_at: list[float] = []
    monkeypatch.setattr(edge.large_pages, "use_large_pages", lambda: moved_at.append(autojump_clock.current_time()))
    started = trio.current_time()
    await settle_into_large_pages()
    assert [when - started for when in moved_at] == [pytest.approx(2.0)]
