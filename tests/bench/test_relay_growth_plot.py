"""The plot of the relay's growth is a picture that holds what was measured."""

from xml.etree import ElementTree as ET

import pytest

from bench.relay.growth_plot import draw

BY_FLOWS = {"flows": [100, 500, 50_000], "ours": [3e-6, 4e-6, 5e-6], "peer": [2e-6, 2.5e-6, 3e-6]}
BY_WORKERS = {"workers": [1, 2], "ours": [4.2e-6, 4.4e-6]}
NAMESPACE = "{http://www.w3.org/2000/svg}"


def heights(picture: ET.Element, colour: str) -> list[float]:
    return [float(dot.attrib["cy"]) for dot in picture.iter(f"{NAMESPACE}circle") if dot.attrib["fill"] == colour]


@pytest.mark.parametrize("by_workers", [BY_WORKERS, None])
def test_dearer_is_higher_and_everything_is_named(by_workers: dict[str, list[float]] | None) -> None:
    picture = ET.fromstring(draw(BY_FLOWS, by_workers))  # noqa: S314
    texts = [text.text for text in picture.iter(f"{NAMESPACE}text")]
    ours, peer = heights(picture, "#1f6fb2"), heights(picture, "#c2571a")
    assert ours == sorted(ours, reverse=True)
    assert all(own < other for own, other in zip(ours, peer, strict=True))
    assert {"100", "500", "50,000", "the relay", "a forwarder in C"} <= set(texts)
    assert ({"4.2", "4.4"} <= set(texts)) == (by_workers is not None)
