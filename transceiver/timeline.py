"""When each step of a call's set-up happened, for the log, the page and the benchmarks."""

import enum

import attrs

__all__ = ["Step", "Timeline"]


class Step(enum.StrEnum):
    """The steps of a call's set-up, in the order in which they usually happen."""

    CREATED = "created"
    FIRST_CHECK = "first-check"
    PATH_VALIDATED = "path-validated"
    DTLS_CONNECTED = "dtls-connected"
    FIRST_AUDIO_OUT = "first-audio-out"
    FIRST_AUDIO_IN = "first-audio-in"


@attrs.define
class Timeline:
    """Remembers the first time of each step.

    Attributes:
        times: monotonic seconds of each step taken so far.
    """

    times: dict[Step, float] = attrs.field(factory=dict)

    def mark(self, step: Step, now: float) -> None:
        """Note that a step was taken; later repetitions change nothing."""
        self.times.setdefault(step, now)

    def milliseconds(self) -> dict[str, float]:
        """Return each step's time in ms after the call was created."""
        start = self.times.get(Step.CREATED, 0.0)
        return {step.value: round((at - start) * 1000, 1) for step, at in self.times.items()}
