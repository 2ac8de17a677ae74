"""What all three processes say of themselves at one moment: a census of each, and the metrics that operators read."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import attrs
import trio
from prometheus_client.parser import text_string_to_metric_families

from bench.servers import RELAY, Server, fetch
from bench.settings import NotMeasured
from bench.soak.census import Census, ask

__all__ = ["GAUGES", "Reading", "Watch", "parse_metrics"]

GAUGES = (
    "transceiver_calls",
    "relay_flows",
    "signal_http_connections",
    "relay_http_connections",
    "transceiver_http_connections",
)
"""Metrics that are as low as before when nobody calls."""

_PREFIX = "trio_voice_"
_LOOK_INTERVAL = 1.0


@attrs.frozen(kw_only=True)
class Reading:
    """All processes at one moment.

    Attributes:
        calls: how many had been placed, the refused ones included.
        censuses: by the process's part.
        metrics: by name, without the prefix; that of a labelled one is followed by the label's value.
    """

    calls: int
    censuses: Mapping[str, Census]
    metrics: Mapping[str, float]

    def counted(self, name: str) -> Mapping[str, float]:
        """Return the values of a labelled metric, by label."""
        return {
            key.removeprefix(f"{name} "): value for key, value in self.metrics.items() if key.startswith(f"{name} ")
        }


class Watch:
    """Reads from processes that run `bench.soak.server`.

    Args:
        server: our three tiers.
        folder: where they put their censuses.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        assert server.logs is not None  # `our_edge` keeps configuration and logs together
        relay = tomllib.loads((server.logs / f"{RELAY}.toml").read_text())["relay"]["http"]
        self._urls = (f"{server.url}/metrics", f"http://{relay}/metrics", server.metrics_url)

    async def read(self, calls: int, *, collects: bool) -> Reading:
        """Take a reading.

        Args:
            calls: how many were placed.
            collects: see `Census.take`.

        Raises:
            NotMeasured: a process does not answer.
        """
        censuses = {
            name: await ask(process, self._folder, collects=collects)
            for name, process in self._server.processes.items()
        }
        return Reading(calls=calls, censuses=censuses, metrics=self.metrics())

    def metrics(self) -> dict[str, float]:
        """Return the metrics of all three.

        Raises:
            NotMeasured: a process does not answer.
        """
        metrics: dict[str, float] = {}
        for url in self._urls:
            try:
                text = fetch(url)
            except OSError as error:
                raise NotMeasured(f"{url}: {error}") from error
            metrics |= parse_metrics(text)
        return metrics

    async def rest(self, idle: Mapping[str, float], patience: float) -> None:
        """Wait until nobody calls any more, as far as the gauges tell; at most `patience` seconds.

        Args:
            idle: the metrics before the first call.
            patience: at most so many seconds; whoever reads then sees what is left.
        """
        with trio.move_on_after(patience):
            while any(self.metrics()[name] > idle[name] for name in GAUGES):  # noqa: ASYNC110 - of other processes
                await trio.sleep(_LOOK_INTERVAL)


def parse_metrics(text: str) -> dict[str, float]:
    """Read our metrics out of the text that Prometheus would read; for the names see `Reading.metrics`."""
    return {
        " ".join((sample.name.removeprefix(_PREFIX), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(_PREFIX)
    }
