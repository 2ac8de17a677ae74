"""Bundles as bytes: what goes into one, and what is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.hop.bundles import FEWEST, LONGEST_BUNDLE, bundle_front, bundled, ends_of, find_parts, parts_of
from relay.hop.header import BUNDLE, CONTROL, DOWN, IPV4_HEADER_SIZE, SEALED, UP
from relay.hop.mtu import LEAST_MTU

HERE, THERE, OLD = ("10.0.0.1", 4000), ("10.0.0.2", 4000), ("10.0.0.3", 4000)


def takes_bundles(address):
    return address != OLD


def part(first, length, fill=0):
    return bytes((first,)) + bytes((fill,)) * (length - 1)


def bundle(*parts):
    return bundle_front([len(each) for each in parts]) + b"".join(parts)


PARTS = st.lists(
    st.builds(part, st.sampled_from([UP, DOWN, SEALED]), st.integers(IPV4_HEADER_SIZE, 300), st.integers(0, 255)),
    min_size=1,
    max_size=40,
)


@given(PARTS)
def test_a_bundle_comes_apart_into_what_it_was_made_of(parts):
    assert parts_of(bundle(*parts)) == parts


@given(PARTS, st.data())
def test_a_bundle_is_whole_or_none(parts, data):
    made = bundle(*parts)
    assert find_parts(made[: data.draw(st.integers(0, len(made) - 1))]) is None
    assert find_parts(made + b"\0") is None


GOOD = part(UP, 60)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes((BUNDLE,)),
        bytes((BUNDLE, 0)),
        bytes((BUNDLE, 255)),
        bytes((BUNDLE, 1, 0)),
        bundle(GOOD, bundle(GOOD)),
        bundle(GOOD, part(CONTROL, 60)),
        bundle(GOOD, part(0x16, 60)),
        bundle(GOOD, part(UP, IPV4_HEADER_SIZE - 1)),
        bundle(GOOD, b"", GOOD),
        bundle_front([60, 61]) + GOOD + GOOD,
        bundle_front([60, 59]) + GOOD + GOOD,
        bundle_front([60, 0xFFFF]) + GOOD + GOOD,
        part(UP, 60),
    ],
)
def test_what_is_no_bundle_is_refused(data):
    assert find_parts(data) is None
    assert parts_of(data) is None


@given(st.lists(st.tuples(st.integers(IPV4_HEADER_SIZE, 1400), st.booleans()), max_size=130))
def test_bundles_are_as_full_as_they_get_and_no_fuller(datagrams):
    lengths, is_alone = [length for length, _ in datagrams], [alone for _, alone in datagrams]
    ends = ends_of(lengths, is_alone if any(is_alone) else ())

    def size_of(begin, end):
        return len(bundle_front(lengths[begin:end])) + sum(lengths[begin:end])

    begin = 0
    for end in ends:
        assert end > begin
        if end > begin + 1:
            assert size_of(begin, end) <= LONGEST_BUNDLE
            assert not any(is_alone[begin:end])
        if end < len(lengths) and not is_alone[end] and not is_alone[end - 1]:
            assert size_of(begin, end + 1) > LONGEST_BUNDLE
        begin = end
    assert begin == len(lengths)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([UP, UP, UP, DOWN, SEALED, CONTROL]),
            st.integers(IPV4_HEADER_SIZE, 1260),
            st.integers(0, 255),
            st.sampled_from([HERE, HERE, HERE, THERE, OLD]),
        ),
        max_size=80,
    )
)
def test_all_leaves_and_what_goes_to_one_place_in_its_order(recipes):
    datagrams = [(part(first, length, fill), place) for first, length, fill, place in recipes]
    made = bundled(list(datagrams), takes_bundles)
    for place in (HERE, THERE, OLD):
        leaving = [data for data, to in made if to == place]
        assert [each for data in leaving for each in parts_of(data) or [data]] == [
            data for data, to in datagrams if to == place
        ]
        assert all(len(data) <= LONGEST_BUNDLE for data in leaving if data[0] == BUNDLE)
    assert all(to != OLD for data, to in made if data[0] == BUNDLE)
    assert all(len(parts_of(data)) > 1 for data, _ in made if data[0] == BUNDLE)


def test_what_leaves_together_is_one_datagram():
    parts = [part(UP, 100, number) for number in range(9)]
    assert bundled([(each, HERE) for each in parts], takes_bundles) == [(bundle(*parts), HERE)]


def test_few_datagrams_leave_as_they_are():
    datagrams = [(part(UP, 100, number), HERE) for number in range(FEWEST - 1)]
    assert bundled(datagrams, takes_bundles) == datagrams
    apart = [*datagrams, (part(UP, 100, 9), THERE)]
    assert bundled(apart, takes_bundles) == apart


def test_a_control_message_leaves_by_itself_in_its_place():
    before, after = [part(UP, 100, 1)] * 3, [part(UP, 100, 2)] * 3
    said = part(CONTROL, 60)
    made = bundled([(each, HERE) for each in (*before, said, *after)], takes_bundles)
    assert made == [(bundle(*before), HERE), (said, HERE), (bundle(*after), HERE)]


def test_a_bundle_asks_no_more_of_a_path_than_ipv6_does():
    assert LONGEST_BUNDLE + 40 + 8 == 1280 < LEAST_MTU
