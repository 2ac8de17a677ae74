"""What is wrong with the certificates of the control API, as far as the configuration tells."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from edge.config.model import Config
from edge.config.problems import Problem, describe

__all__ = ["check_certificates", "warnings_about_control"]


def check_certificates(config: Config) -> Iterator[Problem]:
    """Find keys that need each other, and files that are not there."""
    transceiver, signal = config.transceiver, config.signal
    server: Mapping[str, str | None] = {}
    client: Mapping[str, str | None] = {}
    if transceiver:
        server = {
            "transceiver.tls_certificate": transceiver.tls_certificate,
            "transceiver.tls_key": transceiver.tls_key,
            "transceiver.tls_client_ca": transceiver.tls_client_ca,
        }
        yield from _all_or_none(server)
    if signal:
        client = {
            "signal.control_certificate": signal.control_certificate,
            "signal.control_key": signal.control_key,
            "signal.control_ca": signal.control_ca,
        }
        yield from _all_or_none(client)
    if signal and not signal.transceivers and any(server.values()) and not any(client.values()):
        right = "Signal in this process has to show one to the transceiver beside it, which has tls_client_ca."
        yield Problem("signal.control_certificate", "it is missing", right)


def _all_or_none(files: Mapping[str, str | None]) -> Iterator[Problem]:
    if any(files.values()):
        for key, name in files.items():
            if name is None:
                yield Problem(key, "it is missing", f"Mutual TLS needs all of {', '.join(files)}.")
            elif not Path(name).is_file():
                yield Problem(key, f"there is no file {describe(name)}", "Give the path of a PEM file.")


def warnings_about_control(config: Config) -> Iterator[str]:
    """Find commands that travel in the clear though there are certificates."""
    signal = config.signal
    if signal and signal.control_certificate:
        for index, transceiver in enumerate(signal.transceivers):
            if transceiver.url.startswith("http:"):
                yield (
                    f"signal.transceivers[{index}].url is {transceiver.url}: with http, signal.control_certificate is "
                    "not used, and the control API is not encrypted"
                )
