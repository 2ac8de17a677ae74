"""The annotated example file that `trio-voice config` prints, made from the catalogue so that it cannot go stale."""

import json
import textwrap
from collections.abc import Iterator

from edge.config.catalogue import Key, all_keys, explanations, item_record_of
from edge.config.model import Role
from edge.config.values import format_address

__all__ = ["EXAMPLES", "example_file"]

# A value for each key whose default shows nothing, as TOML.
EXAMPLES = {
    "keys": '"keys"',
    "node.name": '"eu-west-1"',
    "node.region": '"eu-west"',
    "node.address": '"10.0.0.3"',
    "store.url": '"rediss://10.0.0.2:6379/0"',
    "store.password": '"replace-with-the-password-of-the-store"',
    "store.password_file": '"/run/secrets/store-password"',
    "store.ca": '"ca.pem"',
    "backend": '["gpt-*=realtime:wss://api.openai.com/v1/realtime"]',
    "transceiver.backend": '"parrot"',
    "signal.tls_certificate": '"fullchain.pem"',
    "signal.tls_key": '"privkey.pem"',
    "signal.control_certificate": '"certificates/signal.crt"',
    "signal.control_key": '"certificates/signal.key"',
    "signal.control_ca": '"certificates/ca.crt"',
    "transceiver.tls_certificate": '"certificates/transceiver.crt"',
    "transceiver.tls_key": '"certificates/transceiver.key"',
    "transceiver.tls_client_ca": '"certificates/ca.crt"',
    "signal.api_keys": '["replace-with-a-long-random-key"]',
    "signal.allowed_origins": '["https://app.example.com"]',
    "signal.allowed_hosts": '["voice.example.com"]',
    "signal.transceivers": '["http://10.0.0.3:7080@eu-west"]',
    "signal.ingresses": '["1=203.0.113.5:3478@eu-west", "2=tcp:203.0.113.5:443@eu-west"]',
    "signal.regions": '["eu-west=53.35/-6.26"]',
    "signal.residency": '["DE=eu-west"]',
    "signal.region": '"eu-west"',
    "signal.country_header": '"CF-IPCountry"',
    "signal.location_database": '"GeoLite2-City.mmdb"',
    "signal.location": '"52.52, 13.40"',
    "signal.location_headers": '["CF-IPLatitude", "CF-IPLongitude"]',
    "signal.trusted_proxies": '["10.0.0.0/8"]',
    "relay.ingresses": '["1=203.0.113.5:3478", "2=tcp:203.0.113.5:443"]',
    "relay.transceivers": '["10.0.0.3:7001"]',
    "relay.reload_socket": '"/run/trio-voice/relay.sock"',
    "relay.cluster_relays": '["2=10.2.0.1:7000", "2=10.2.0.2:7000"]',
    "relay.cluster": "1",
    "relay.http": '"127.0.0.1:9080"',
}

_HEAD = """\
# trio-voice: every key, with its default where it has one. Keys that are commented out may stay so.
# Each key can also be set by the environment variable named beside it; lists then are separated by commas.
# A file with these sections serves any role: trio-voice serve --role signal|relay|transceiver --config FILE
"""


def example_file(role: Role | None = None) -> str:
    """Write the example.

    Args:
        role: the only role whose section is wanted; None for all.
    """
    wanted = {role.value} if role else {item.value for item in Role}
    lines = [_HEAD]
    section: tuple[str, ...] = ()
    for key in all_keys():
        if len(key.path) > 1 and key.path[0] in {item.value for item in Role} - wanted:
            continue
        if key.path[:-1] != section:
            section = key.path[:-1]
            lines.append(f"[{'.'.join(section)}]")
        lines.extend(_entry(key))
        lines.append("")
    return "\n".join(lines)


def _entry(key: Key) -> Iterator[str]:
    yield from _comment(key.explanation)
    if record := item_record_of(key.type):
        yield f"# Each is {_summary(record)}, or a table with:"
        for name, explanation in explanations(record).items():
            yield from _comment(f"{name}: {explanation}", indent="  - ", further="    ")
    yield f"# {key.variable}"
    yield f"#{key.path[-1]} = {EXAMPLES.get(key.dotted) or _toml(key.default)}"


def _comment(text: str, indent: str = "", further: str = "") -> list[str]:
    return textwrap.wrap(
        text, 110, initial_indent=f"# {indent}", subsequent_indent=f"# {further}", break_on_hyphens=False
    )


def _summary(record: type) -> str:
    """Take the short form out of a record's first line: ..., in short form "A" or "B"."""
    return (record.__doc__ or "").split("\n")[0].partition("; in short form ")[2].rstrip(".")


def _toml(value: object) -> str:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int):
        return json.dumps(format_address((str(value[0]), value[1])))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)  # strings and numbers look the same in TOML
