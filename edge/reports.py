"""What happens, said by code that knows no logger; and kept until one is there.

Loading what writes logs takes about as long as all that a relay needs to forward the first datagram. So a process may
begin its work before it can write lines, and loses none.
"""

from collections.abc import Callable, Mapping

__all__ = ["Report", "Reports"]

Report = Callable[[str, Mapping[str, object]], None]
"""Takes what happened and its facts."""


class Reports:
    """Takes what all tiers of a process report, and passes it on once there is a log.

    Warnings that several sockets give rise to are passed on once.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[str, str, Mapping[str, object]]] = []
        self._said: set[str] = set()
        self._open: Callable[[str], Report] | None = None

    def of(self, tier: str) -> Report:
        """Make one tier's way in."""

        def report(name: str, facts: Mapping[str, object]) -> None:
            warning = facts.get("warning")
            if isinstance(warning, str):
                if warning in self._said:
                    return
                self._said.add(warning)
            if self._open is None:
                self._kept.append((tier, name, facts))
            else:
                self._open(tier)(name, facts)

        return report

    def open(self, report_of: Callable[[str], Report]) -> None:
        """Pass on what was kept, and from now on everything at once.

        Args:
            report_of: makes what writes one tier's lines.
        """
        known: dict[str, Report] = {}
        self._open = lambda tier: known.get(tier) or known.setdefault(tier, report_of(tier))
        kept, self._kept = self._kept, []
        for tier, name, facts in kept:
            self._open(tier)(name, facts)
