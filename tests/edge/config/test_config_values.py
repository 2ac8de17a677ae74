"""Each form of a value, right and wrong."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import values
from edge.config.problems import Text, WrongValue
from geo.regions import Place

ANY = "0.0.0.0"  # noqa: S104 - written, not bound


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[0:0::1]:3478", ("::1", 3478)),
        ("transceiver.default.svc:7001", ("transceiver.default.svc", 7001)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert values.address(text) == address


@given(st.ip_addresses().map(str), st.integers(0, 65535))
def test_an_address_survives_its_text_form(host: str, port: int) -> None:
    assert values.address(values.format_address((host, port))) == (host, port)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("7000", "IP:PORT"),
        (":7000", "IP:PORT"),
        ("127.0.0.1:", "IP:PORT"),
        ("127.0.0.1:http", "IP:PORT"),
        ("127.0.0.1:٣", "IP:PORT"),
        ("127.0.0.1:70000", "a port up to 65535"),
        ("[name]:70", "IP:PORT"),
        ("::1:80", '"[::1]:80"'),
        (7000, "IP:PORT"),
        (None, "IP:PORT"),
    ],
)
def test_wrong_addresses_are_told_what_would_be_right(value: object, wanted: str) -> None:
    with pytest.raises(WrongValue) as caught:
        values.address(value)
    assert wanted in caught.value.wanted


def test_numbers_have_no_quotes_in_a_file_but_are_text_in_a_variable() -> None:
    variable = Text("7", "environment variable X")
    assert values.integer(7) == values.integer(variable) == 7
    assert values.number(7) == values.number(7.0) == values.number(variable) == 7.0
    for take in (values.integer, values.number):
        with pytest.raises(WrongValue, match="without quotes"):
            take("7")
        with pytest.raises(WrongValue, match=r"number$"):
            take(Text("seven", "environment variable X"))
        with pytest.raises(WrongValue, match="number"):
            take(True)
    with pytest.raises(WrongValue, match="number"):
        values.number(float("inf"))


def test_lists_are_bracketed_in_a_file_and_separated_by_commas_in_a_variable() -> None:
    assert values.items(["a"]) == ["a"]
    assert values.items(Text("a, b,", "environment variable X")) == ["a", "b"]
    assert values.items(Text("", "environment variable X")) == []
    with pytest.raises(WrongValue, match="brackets"):
        values.items("a,b")


def test_places() -> None:
    assert values.place("52.52, 13.40") == Place(latitude=52.52, longitude=13.40)
    for wrong in ("52.52", "a, b", "91, 0", "0, 181", 52.52, [1, 2], "nan, 0"):
        with pytest.raises(WrongValue, match="LATITUDE"):
            values.place(wrong)


def test_networks() -> None:
    assert values.network("10.0.0.0/8") == ip_network("10.0.0.0/8")
    with pytest.raises(WrongValue, match=r'^"10\.0\.0\.0/8"$'):
        values.network("10.1.0.0/8")
    with pytest.raises(WrongValue, match="such as"):
        values.network("everybody")


def test_short_forms() -> None:
    assert values.expand_relay_ingress("1=203.0.113.5:3478") == {
        "id": 1,
        "advertise": "203.0.113.5:3478",
        "bind": (ANY, 3478),
    }
    assert values.expand_relay_ingress("2=[2001:db8::1]:3478/[::2]:99") == {
        "id": 2,
        "advertise": "[2001:db8::1]:3478",
        "bind": "[::2]:99",
    }
    assert values.expand_signal_ingress("1=203.0.113.5:3478@eu") == {
        "id": 1,
        "advertise": "203.0.113.5:3478",
        "region": "eu",
    }
    assert values.expand_transceiver("http://t:7080@eu") == {"url": "http://t:7080", "region": "eu"}
    assert values.expand_transceiver("http://t:7080") == {"url": "http://t:7080"}
    assert values.expand_region("eu=50/8") == {"name": "eu", "location": "50/8"}
    for wrong in ("203.0.113.5:3478", "one=203.0.113.5:3478"):
        with pytest.raises(WrongValue, match="ID=IP:PORT"):
            values.expand_signal_ingress(wrong)
