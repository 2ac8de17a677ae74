"""`trio-voice`, with a way to look inside: each process writes a census of itself when it is sent a signal.

    python -m bench.soak.server FOLDER serve …

SIGUSR1 writes FOLDER/PID.json as it is; SIGUSR2 has the garbage collector go through everything first. Nothing of
this is in the program that operators run.
"""

import signal
import sys
from pathlib import Path

from bench.soak.census import COLLECTED, UNTOUCHED, Census, file_of
from edge.cli import main

__all__: list[str] = []


def _write_census(number: int, folder: Path) -> None:
    file = file_of(folder)
    draft = file.with_suffix(".draft")
    draft.write_text(Census.take(collects=number == COLLECTED).to_json())
    draft.rename(file)


if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    for _number in (UNTOUCHED, COLLECTED):
        signal.signal(_number, lambda number, _frame: _write_census(number, _folder))
    main(sys.argv[2:], prog_name="trio-voice")
