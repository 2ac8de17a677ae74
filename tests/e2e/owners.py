"""Which of a fleet's two transceivers has the one call there is, and whether the store knows."""

from .edge_processes import Edge

__all__ = ["NAMES", "hop_port", "owner_and_other", "transceiver_calls", "wait_for_record"]

NAMES = ("alpha", "beta")
_MOVES = "trio_voice_transceiver_moves_total"


def transceiver_calls(fleet: Edge, name: str) -> int:
    """How many calls it has."""
    return int(fleet.metric(fleet.servers[name].health, "trio_voice_transceiver_calls"))


def wait_for_record(fleet: Edge) -> None:
    """Wait until one of them has put a call into the store."""

    def is_kept() -> bool:
        return any(fleet.counted(fleet.servers[name].health, _MOVES)["checkpoint.created"] for name in NAMES)

    fleet.wait_until("the store has a record", is_kept)


def owner_and_other(fleet: Edge) -> tuple[str, str]:
    """Who has the call, and who has not."""
    owner, other = sorted(NAMES, key=lambda name: -transceiver_calls(fleet, name))
    assert transceiver_calls(fleet, owner) == 1
    return owner, other


def hop_port(fleet: Edge, name: str) -> int:
    """A transceiver's port for relays."""
    text = (fleet.folder / f"{name}.toml").read_text()
    return int(text.split('hop = "127.0.0.1:')[1].split('"')[0])
