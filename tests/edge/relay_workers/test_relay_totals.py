"""What a relay's workers see of transceivers, as one."""

from edge.metrics import Metrics
from edge.registry.member import MeasuredLink
from edge.relay_workers.totals import add_up, without_what_was
from edge.tiers.relay_figures import Figures, add_relay_metrics

ONE = Figures(suspected=2, recovered=1, is_suspected={"10.0.1.1:5000": 0.0, "10.0.1.2:5000": 1.0})
TWO = Figures(suspected=1, is_suspected={"10.0.1.1:5000": 1.0})


def test_one_that_a_worker_suspects_is_suspected():
    total = add_up([ONE, TWO])
    assert (total.suspected, total.recovered) == (3, 1)
    assert total.is_suspected == {"10.0.1.1:5000": 1.0, "10.0.1.2:5000": 1.0}


def test_what_a_worker_counted_that_has_ended_is_kept_and_what_it_saw_is_not():
    kept = without_what_was(ONE)
    assert (kept.suspected, kept.recovered, kept.is_suspected) == (2, 1, {})


def test_what_workers_have_measured_of_one_transceiver_is_put_together():
    one, two = (MeasuredLink(cluster=1, incarnation=2, pings=60, lost=lost, round_trip=1.0) for lost in (1, 3))
    total = add_up([Figures(links=[one]), Figures(links=[two])])
    assert total.links == [MeasuredLink(cluster=1, incarnation=2, pings=120, lost=4, round_trip=1.0)]
    assert without_what_was(total).links == []


def test_a_flow_that_all_workers_know_is_one():
    assert add_up([Figures(flows=40, connections=2), Figures(flows=41, connections=3)]).flows == 41


def test_prometheus_is_told():
    metrics = Metrics()
    add_relay_metrics(metrics, lambda: add_up([ONE, TWO]))
    text = metrics.render().decode()
    assert "trio_voice_relay_transceivers_suspected_total 3.0" in text
    assert "trio_voice_relay_transceivers_recovered_total 1.0" in text
    assert 'trio_voice_relay_transceiver_suspected{transceiver="10.0.1.2:5000"} 1.0' in text
