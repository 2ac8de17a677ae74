"""Draw the state machines from the tables that run them: `python docs/make_state_diagrams.py` rewrites the page.

A test compares the page with the tables, so it cannot go stale.
"""

import enum
from collections.abc import Mapping
from pathlib import Path

from dtls.states13 import CLIENT_13, SERVER_13
from stun.paths import PATH_TRANSITIONS
from transceiver.session import TRANSITIONS as SESSION_TRANSITIONS

PAGE = Path(__file__).with_name("state-diagrams.md")

Table = Mapping[enum.Enum, Mapping[enum.Enum, enum.Enum]]

MACHINES: tuple[tuple[str, str, Table], ...] = (
    ("A call", "`transceiver/session.py`", SESSION_TRANSITIONS),
    ("A path to the client", "`stun/paths.py`", PATH_TRANSITIONS),
    (CLIENT_13.name, "`dtls/states13.py`; a message without an arrow ends the handshake", CLIENT_13.rows),
    (SERVER_13.name, "`dtls/states13.py`; a message without an arrow ends the handshake", SERVER_13.rows),
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
