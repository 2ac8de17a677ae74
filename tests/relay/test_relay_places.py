"""Where tokens lead: to transceivers on links of our own, or to the relays of another cluster."""

import pytest

from relay.hop.events import LinkDown, LinkUp
from relay.places import Places

FIRST, SECOND, THIRD = ("10.2.0.1", 7000), ("10.2.0.2", 7000), ("10.2.0.3", 7000)
TRANSCEIVER = ("10.1.0.1", 7001)


@pytest.fixture
def token():
    return lambda cluster, session, incarnation=5: ((cluster, incarnation, 0), session)


def up(address, cluster=2, incarnation=77):
    return LinkUp(identity=(cluster, incarnation, 0), address=address)


def down(address, cluster=2, incarnation=77):
    return LinkDown(identity=(cluster, incarnation, 0), address=address)


def test_a_token_leads_to_the_process_that_it_names(token):
    places = Places({})
    assert places.link_up(up(TRANSCEIVER, cluster=1, incarnation=5))
    assert places.find(*token(1, 7)).address == TRANSCEIVER
    assert places.find(*token(1, 7, incarnation=6)) is None
    assert places.find(*token(2, 7)) is None


def test_a_process_that_has_moved_takes_its_place_along(token):
    places = Places({})
    places.link_up(up(TRANSCEIVER, cluster=1, incarnation=5))
    place = places.find(*token(1, 7))
    places.link_up(up(FIRST, cluster=1, incarnation=5))
    assert place.address == FIRST
    assert places.at(TRANSCEIVER) is None
    assert len(places) == 1


def test_a_link_that_comes_back_finds_its_place(token):
    places = Places({})
    places.link_up(up(TRANSCEIVER, cluster=1, incarnation=5))
    place = places.find(*token(1, 7))
    places.link_down(down(TRANSCEIVER, cluster=1, incarnation=5))
    assert place.address is None
    places.link_up(up(TRANSCEIVER, cluster=1, incarnation=5))
    assert place.address == TRANSCEIVER


def test_sessions_of_another_cluster_spread_over_its_relays_and_keep_to_theirs(token):
    places = Places({2: [FIRST, SECOND, THIRD]})
    for address in (FIRST, SECOND, THIRD):
        assert places.link_up(up(address))
    found = [places.find(*token(2, session)).address for session in range(30)]
    assert {found.count(address) for address in (FIRST, SECOND, THIRD)} == {10}
    assert found == [places.find(*token(2, session)).address for session in range(30)]


def test_sessions_of_a_relay_that_is_down_go_through_another_until_it_is_back(token):
    places = Places({2: [FIRST, SECOND]})
    places.link_up(up(FIRST))
    places.link_up(up(SECOND))
    through_first, through_second = places.find(*token(2, 0)), places.find(*token(2, 1))
    places.link_down(down(FIRST))
    assert (through_first.address, through_second.address) == (SECOND, SECOND)
    assert places.at(FIRST) is None
    places.link_down(down(SECOND))
    assert (through_first.address, through_second.address) == (None, None)
    places.link_up(up(FIRST))
    assert (through_first.address, through_second.address) == (FIRST, FIRST)
    places.link_up(up(SECOND))
    assert (through_first.address, through_second.address) == (FIRST, SECOND)


def test_a_relay_of_the_wrong_cluster_gets_nothing(token):
    places = Places({2: [FIRST]})
    assert not places.link_up(up(FIRST, cluster=3))
    assert places.find(*token(2, 0)).address is None
    assert places.at(FIRST) is None


def test_a_changed_map_keeps_the_places_that_stay(token):
    places = Places({2: [FIRST, SECOND]})
    places.link_up(up(FIRST))
    places.link_up(up(SECOND))
    staying, leaving = places.find(*token(2, 0)), places.find(*token(2, 1))
    places.set_clusters({2: [FIRST], 3: [THIRD]})
    places.link_down(down(SECOND))
    assert places.find(*token(2, 1)) is staying
    assert staying.address == FIRST
    assert leaving.address is None
    places.link_up(up(THIRD, cluster=3))
    assert places.find(*token(3, 9)).address == THIRD
