"""`python -m edge` is `trio-voice`."""

from edge.cli import main

main(prog_name="trio-voice")
