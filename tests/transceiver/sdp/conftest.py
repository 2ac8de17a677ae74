"""Real offers, and an answer to them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from transceiver.calls import AnswerIngress
from transceiver.sdp import Negotiated, answer

OFFERS = Path(__file__).parent / "offers"
FINGERPRINT = "sha-256 " + ":".join(f"{byte:02X}" for byte in range(32))


@pytest.fixture(scope="session")
def offers() -> dict[str, str]:
    """Text of every captured offer, with CRLF line ends, by file name."""
    return {path.stem: path.read_text().replace("\n", "\r\n") for path in sorted(OFFERS.glob("*.sdp"))}


@pytest.fixture(scope="session")
def chromium(offers: dict[str, str]) -> str:
    return offers["chromium-156"]


@pytest.fixture(scope="session")
def write_answer() -> Callable[..., str]:
    """Write an answer with fixed credentials to what was negotiated."""

    def write(negotiated: Negotiated, **changes: object) -> str:
        arguments: dict[str, object] = {
            "ice_ufrag": "serverUfrag+/0123456789",
            "ice_pwd": "serverPassword0123456789abcdefgh",
            "fingerprint": FINGERPRINT,
            "setup": negotiated.setup,
            "candidates": [
                AnswerIngress(id=1, host="192.0.2.1", port=3478, priority=2130706431),
                AnswerIngress(id=2, host="2001:db8::7", port=3479, priority=2130706175),
            ],
            "session_id": 2**63 - 1,
            "ssrc": 0xDEADBEEF,
            "cname": "trio-voice",
            "msid": "stream track",
        }
        return answer(negotiated, **{**arguments, **changes})  # type: ignore[arg-type]  # a bag of keywords

    return write
