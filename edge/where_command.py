"""`trio-voice where`: why a caller at an address would be placed where."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

import click

from edge.config.problems import UserError
from edge.serve_command import config_option
from edge.server_question import ask_server

__all__ = ["WhereError", "where"]


Explanation = Mapping[str, object]
"""What `edge.signal.explaining.explain` writes."""


class WhereError(UserError):
    """There is no explanation; the text says why."""


@click.command("where", short_help="Explain where a caller would be placed.")
@click.argument("ip", metavar="IP")
@config_option
@click.option(
    "--url", metavar="URL", help="Signal server to ask, such as http://127.0.0.1:8080: it knows loads and health."
)
@click.option(
    "--key",
    envvar="TRIO_VOICE_KEY",
    help="API key: that of the caller, for rules of residency; the server wants one of its own.",
)
@click.option("--model", help="Model that the caller asks for, where a rule of residency depends on it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def where(ip: str, path: Path | None, url: str | None, key: str | None, model: str | None, as_json: bool) -> None:
    """Explain which transceiver and which relays a caller at address IP would get.

    With --url a running signal server is asked, which knows what is alive and how full, and what its calls have
    measured. Without it the configuration alone answers, as if all were alive and empty.
    """
    try:
        address = str(ip_address(ip))
    except ValueError:
        raise click.BadParameter(f"{ip!r} is no IP address.", param_hint="IP") from None
    explanation = _by_configuration(path, key, address, model) if url is None else _by_server(url, key, address, model)
    if as_json:
        click.echo(json.dumps(explanation, indent=2))
        return
    if url is None:
        click.echo("By the configuration alone, as if all were alive and empty; --url asks a running server.\n")
    for line in _lines(explanation):
        click.echo(line)


def _by_server(url: str, key: str | None, address: str, model: str | None) -> Explanation:
    query = {"ip": address} | ({"model": model} if model else {})
    return ask_server(url, f"/fleet/where?{urlencode(query)}", key, WhereError)


def _by_configuration(path: Path | None, key: str | None, address: str, model: str | None) -> Explanation:
    from edge.config.model import Role
    from edge.launch import Launch
    from edge.signal.explaining import explain
    from edge.signal.geography import Geography, region_named
    from geo.choice import TransceiverCandidate
    from geo.database import LocationDatabase

    # Without a file it is the fleet of `trio-voice serve`. No key is needed to tell, so none has to be there.
    role = None if path is None else Role.SIGNAL
    config = Launch(path=path, role=role, options={"keys": "none"}).load().config.signal
    assert config is not None  # noqa: S101 - that role was loaded
    database: LocationDatabase | None = None
    if config.location_database is not None:
        from edge.signal.locating import DatabaseUnreadable, LocationFile

        try:
            database = LocationFile(config.location_database, lambda *_: None)
        except DatabaseUnreadable as error:
            raise WhereError(f"signal.location_database: {error}") from None
    geography = Geography(config, database=database)
    candidates = [
        TransceiverCandidate(name=each.url, region=region_named(each.region, geography.regions))
        for each in config.transceivers
    ]
    if path is None and not candidates:
        candidates = [TransceiverCandidate(name="the transceiver of the same process")]
    owner = sha256(key.strip().encode()).hexdigest() if key else ""
    location = geography.locate_address(address)
    return explain(geography.choose(location, candidates, now=0.0, owner=owner, model=model))


def _lines(explanation: Explanation) -> Iterator[str]:
    yield f"{explanation['address']} (network {explanation['network']})"
    location = explanation["location"]
    if isinstance(location, Mapping):
        yield f"  location   {location['latitude']:g}, {location['longitude']:g}, by: {location['why']}"
    else:
        yield "  location   nobody knows: set signal.location_database, signal.region or signal.location"
    country = explanation["country"]
    yield f"  country    {country}, by: {explanation['country_why']}" if country else "  country    nobody knows"
    residency = explanation["residency"]
    yield f"  residency  {residency['why'] if isinstance(residency, Mapping) else 'no rule applies'}"
    for key, title, few in (
        ("transceivers", "Transceivers, in the order in which they are asked", "No transceiver is configured."),
        ("ingresses", "Relay addresses for UDP, in the order of the answer", "No relay address for UDP is configured."),
        ("tcp_ingresses", "Relay addresses for TCP", ""),
    ):
        candidates = cast("list[Mapping[str, object]]", explanation[key])
        if candidates or few:
            yield ""
            yield f"{title}:" if candidates else few
        for each in candidates:
            yield from _candidate_lines(each)


def _candidate_lines(candidate: Mapping[str, object]) -> Iterator[str]:
    rank, standing = candidate["rank"], candidate["standing"]
    terms = cast("Mapping[str, float]", candidate["terms_ms"])
    total = " + ".join(f"{name} {value:g}" for name, value in terms.items()) or "nothing tells"
    place = f"{rank}." if rank else "—"
    yield f"  {place:<3} {candidate['score_ms']:>7} ms = {total}" + ("" if standing == "usable" else f"; {standing}")
    yield f"      {candidate['why']}"
