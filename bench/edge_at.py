"""`trio-voice`, speaking with another complexity of the Opus encoder than the one that operators get.

python -m bench.edge_at COMPLEXITY serve …
"""

import sys
from functools import partial

from edge.cli import main
from edge.tiers import transceiver
from transceiver.audio.adaptation import SendingOptions
from transceiver.options import SessionOptions, VoiceOptions

__all__: list[str] = []


def _set_complexity(complexity: int) -> None:
    voice = VoiceOptions(sending=SendingOptions(complexity=complexity))
    # The tier names all options that an operator may set, and leaves the voice at its defaults.
    vars(transceiver)["SessionOptions"] = partial(SessionOptions, voice=voice)


if __name__ == "__main__":
    _set_complexity(int(sys.argv[1]))
    main(sys.argv[2:], prog_name="trio-voice")
