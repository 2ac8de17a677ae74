"""The tables that run the handshakes are whole: every state is reached, and what is not in them is refused."""

import pytest

from dtls.alerts import AbortError, AlertDescription
from dtls.handshake.message import HandshakeType
from dtls.phases import PHASES, Phase, Trigger
from dtls.states13 import CLIENT_13, SERVER_13

TABLES = [CLIENT_13, SERVER_13]


@pytest.mark.parametrize("table", TABLES)
def test_every_state_has_a_row_and_is_reached(table):
    states = type(table.initial)
    assert set(table.rows) == set(states)
    reached, todo = {table.initial}, [table.initial]
    while todo:
        for target in table.rows[todo.pop()].values():
            if target not in reached:
                reached.add(target)
                todo.append(target)
    assert reached == set(states)


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_cell_is_an_unexpected_message(table):
    for state, row in table.rows.items():
        for message_type in (*HandshakeType, 99, 255):
            if message_type in row:
                assert table.next_state(state, message_type) is row[message_type]
                continue
            with pytest.raises(AbortError) as caught:
                table.next_state(state, message_type)
            assert caught.value.alert is AlertDescription.UNEXPECTED_MESSAGE


def test_an_association_is_believed_only_behind_both_conditions():
    assert set(PHASES) == set(Phase)
    into_connected = [
        (phase, trigger) for phase, row in PHASES.items() for trigger in row if row[trigger] is Phase.CONNECTED
    ]
    assert into_connected == [(Phase.UNVERIFIED, Trigger.MATCHED)]
    into_unverified = [
        (phase, trigger) for phase, row in PHASES.items() for trigger in row if row[trigger] is Phase.UNVERIFIED
    ]
    assert into_unverified == [(Phase.HANDSHAKE, Trigger.FINISHED)]
    assert PHASES[Phase.CLOSED] == {}
    assert all(row[Trigger.CLOSED] is Phase.CLOSED for phase, row in PHASES.items() if phase is not Phase.CLOSED)
