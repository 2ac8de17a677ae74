"""Draw the state machines from the tables that run them: `python docs/make_state_diagrams.py` rewrites the page.

A test compares the page with the tables, so it cannot go stale.
"""

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtls.phases import PHASES
from dtls.states import StateTable
from dtls.states12 import CLIENT_12, SERVER_12
from dtls.states13 import CLIENT_13, SERVER_13
from sctp.states import ASSOCIATION_STATES
from stun.checklist import PAIR_TRANSITIONS
from stun.paths import PATH_TRANSITIONS
from transceiver.realtime.states import BACKEND_TRANSITIONS, PLAYING_TRANSITIONS
from transceiver.states import TRANSITIONS as SESSION_TRANSITIONS

PAGE = Path(__file__).with_name("state-diagrams.md")

Table = Mapping[enum.Enum, Mapping[enum.Enum, enum.Enum]]


def _handshake(table: StateTable[Any], where: str) -> tuple[str, str, Table]:
    return table.name, f"`{where}`; a message without an arrow ends the handshake", table.rows


MACHINES: tuple[tuple[str, str, Table], ...] = (
    ("A call", "`transceiver/session.py`", SESSION_TRANSITIONS),
    ("A path to the client", "`stun/paths.py`", PATH_TRANSITIONS),
    ("A candidate pair of the caller", "`stun/checklist.py`", PAIR_TRANSITIONS),
    ("A DTLS association", "`dtls/phases.py`", PHASES),
    _handshake(CLIENT_13, "dtls/states13.py"),
    _handshake(SERVER_13, "dtls/states13.py"),
    _handshake(CLIENT_12, "dtls/states12.py"),
    _handshake(SERVER_12, "dtls/states12.py"),
    ("An SCTP association", "`sctp/states.py`", ASSOCIATION_STATES),
    ("A call's backend", "`transceiver/realtime/states.py`", BACKEND_TRANSITIONS),
    ("What the caller hears of the agent", "`transceiver/realtime/states.py`", PLAYING_TRANSITIONS),
)

HEAD = """# State diagrams

Made from the tables in the code by `docs/make_state_diagrams.py`; do not edit. An input that has no arrow in a state
changes nothing there, unless the table's own comment says otherwise.
"""


def diagram(table: Table) -> str:
    """Return a table as a Mermaid state diagram: state by state, input by input, in the order of the table."""
    names = {state: f"s{number}" for number, state in enumerate(table)}
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(names.values()))}"]
    lines += [f'    state "{_words(state)}" as {name}' for state, name in names.items()]
    for state, row in table.items():
        lines += [f"    {names[state]} --> {names[after]}: {_words(happened)}" for happened, after in row.items()]
        if not row:
            lines.append(f"    {names[state]} --> [*]")
    return "\n".join(lines)


def _words(member: enum.Enum) -> str:
    return member.value if isinstance(member.value, str) else member.name


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for title, where, table in MACHINES:
        parts.append(f"\n## {title}\n\n{where}\n\n```mermaid\n{diagram(table)}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
