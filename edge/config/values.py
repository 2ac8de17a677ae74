"""One value at a time: the text forms of addresses, places, networks and short records.

Each function takes what a file or variable holds and returns what the model wants, or raises `WrongValue` with
what would have been right.
"""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from math import isfinite
from typing import cast

from edge.config.problems import Text, WrongValue
from geo.regions import Place
from wire.core import Address

__all__ = [
    "Network",
    "address",
    "boolean",
    "expand_backend",
    "expand_cluster_relay",
    "expand_region",
    "expand_relay_ingress",
    "expand_residency",
    "expand_signal_ingress",
    "expand_transceiver",
    "format_address",
    "integer",
    "is_ip",
    "items",
    "network",
    "number",
    "place",
    "string",
    "wildcard_for",
]

Network = IPv4Network | IPv6Network


def string(value: object) -> str:
    """Take a string, which must not be empty."""
    if isinstance(value, str) and value:
        return str(value)
    raise WrongValue(value, "a string that is not empty" if isinstance(value, str) else "a string, in quotes")


def boolean(value: object) -> bool:
    """Take true or false."""
    if isinstance(value, Text) and value in {"true", "false"}:
        return value == "true"
    if isinstance(value, bool):
        return value
    raise WrongValue(value, "true or false" + _without_quotes(value))


def integer(value: object) -> int:
    """Take a whole number."""
    if isinstance(value, Text):
        try:
            return int(value)
        except ValueError:
            pass
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    raise WrongValue(value, "a whole number" + _without_quotes(value))


def number(value: object) -> float:
    """Take a number."""
    if isinstance(value, Text):
        try:
            value = float(value)
        except ValueError:
            raise WrongValue(value, "a number") from None
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return float(value)
    raise WrongValue(value, "a number" + _without_quotes(value))


def items(value: object) -> list[object]:
    """Take a list; outside of a file a string with commas."""
    if isinstance(value, Text):
        return [Text(part.strip(), value.origin) for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        return list(cast("list[object]", value))
    raise WrongValue(value, "a list, in [brackets]")


def address(value: object) -> Address:
    """Take "HOST:PORT"; an IP address is brought into its shortest form, an IPv6 one stands in brackets."""
    wanted = '"IP:PORT", such as "127.0.0.1:7000" or "[::1]:7000"'
    if isinstance(value, tuple) and len(value) == 2:
        return cast("Address", value)  # from our own defaults
    if not isinstance(value, str):
        raise WrongValue(value, wanted)
    host, colon, port = value.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise WrongValue(value, wanted)
    if int(port) > 65_535:
        raise WrongValue(value, "a port up to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not is_ip(host):
            raise WrongValue(value, wanted)
    elif ":" in host:
        raise WrongValue(value, f'an IPv6 address in brackets, such as "[{host}]:{port}"')
    return (str(ip_address(host)) if is_ip(host) else host, int(port))


def format_address(value: Address) -> str:
    """Write an address as `address` reads it."""
    host, port = value
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_ip(host: str) -> bool:
    """Whether a host is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def wildcard_for(host: str) -> str:
    """Return the address that stands for all addresses of the machine, in the family of `host`."""
    return "::" if ":" in host else "0.0.0.0"  # noqa: S104 - that is its purpose


def place(value: object) -> Place:
    """Take "LATITUDE, LONGITUDE"."""
    wanted = '"LATITUDE, LONGITUDE" in degrees, such as "52.52, 13.40"'
    if not isinstance(value, str):
        raise WrongValue(value, wanted)
    try:
        latitude, longitude = (float(part) for part in value.replace("/", ",").split(","))
        return Place(latitude=latitude, longitude=longitude, why="configured")
    except ValueError:
        raise WrongValue(value, wanted) from None


def network(value: object) -> Network:
    """Take an IP network, such as "10.0.0.0/8", or a single address."""
    if isinstance(value, str):
        try:
            return ip_network(value)
        except ValueError as error:
            if "has host bits set" in str(error):
                raise WrongValue(value, f'"{ip_network(value, strict=False)}"') from None
    raise WrongValue(value, 'an IP network, such as "10.0.0.0/8"')


def expand_backend(value: object) -> object:
    """Turn the short form "USE" or "MODEL=USE" into a table; what follows a colon belongs to `use`."""
    if not isinstance(value, str):
        return value
    model, equals, use = value.partition("=")
    if not equals or ":" in model:
        return {"use": value}
    return {"use": use, "models": [model]}


def expand_relay_ingress(value: object) -> object:
    """Turn the short form "ID=tcp:IP:PORT/IP:PORT" into a table, and add the address to bind where it is left out."""
    if isinstance(value, str):
        table, rest = _cut_id(value)
        advertise, slash, bind = rest.partition("/")
        value = table | {"advertise": advertise} | ({"bind": bind} if slash else {})
    if isinstance(value, dict) and "advertise" in value and "bind" not in value:
        try:
            host, port = address(value["advertise"])
        except WrongValue:
            return {**value, "bind": ("0.0.0.0", 1)}  # noqa: S104 - never used: advertise is reported
        return {**value, "bind": (wildcard_for(host), port)}
    return value


def expand_cluster_relay(value: object) -> object:
    """Turn the short form "CLUSTER=HOST:PORT" into a table."""
    if not isinstance(value, str):
        return value
    cluster, equals, hop = value.partition("=")
    if not equals or not (cluster.isascii() and cluster.isdigit()):
        raise WrongValue(value, 'a table, or "CLUSTER=HOST:PORT", such as "2=10.2.0.1:7000"')
    return {"cluster": int(cluster), "hop": hop}


def expand_signal_ingress(value: object) -> object:
    """Turn the short form "ID=tcp:IP:PORT@REGION" into a table."""
    if not isinstance(value, str):
        return value
    table, rest = _cut_id(value)
    advertise, at, region = rest.partition("@")
    return table | {"advertise": advertise} | ({"region": region} if at else {})


def expand_residency(value: object) -> object:
    """Turn the short form "COUNTRY=REGION+REGION" into a table."""
    if not isinstance(value, str):
        return value
    country, equals, regions = value.partition("=")
    if not equals or not country:
        raise WrongValue(value, 'a table, or "COUNTRY=REGION", such as "DE=eu-west+eu-central"')
    return {"countries": [country], "regions": regions.split("+")}


def expand_transceiver(value: object) -> object:
    """Turn the short form "URL@REGION" into a table."""
    if not isinstance(value, str):
        return value
    url, at, region = value.rpartition("@")
    return {"url": url, "region": region} if at else {"url": str(value)}


def expand_region(value: object) -> object:
    """Turn the short form "NAME=LATITUDE/LONGITUDE" into a table."""
    if not isinstance(value, str):
        return value
    name, equals, location = value.partition("=")
    return {"name": name} | ({"location": location} if equals else {})


def _without_quotes(value: object) -> str:
    return ", without quotes" if isinstance(value, str) and not isinstance(value, Text) else ""


def _cut_id(value: str) -> tuple[dict[str, object], str]:
    """Cut the number of an ingress and its protocol off, and return them as the beginning of its table."""
    identifier, equals, rest = value.partition("=")
    if not equals or not (identifier.isascii() and identifier.isdigit()):
        raise WrongValue(value, 'a table, or "ID=IP:PORT", such as "1=203.0.113.5:3478"')
    protocol, colon, address_ = rest.partition(":")
    if colon and protocol in {"udp", "tcp"}:
        return {"id": int(identifier), "protocol": protocol}, address_
    return {"id": int(identifier)}, rest
