"""What Prometheus reads is what the live objects hold at that moment."""

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from edge.metrics import Histogram, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_counters_are_read_when_asked_for() -> None:
    metrics = Metrics()
    drops: Counter[str] = Counter()
    metrics.add_counters("relay_drops", "Datagrams dropped.", "reason", lambda: drops)
    assert not any(name == "trio_voice_relay_drops_total" for name, _ in samples(metrics))
    drops["forged-token"] += 3
    drops['a "quoted"\nreason'] += 1
    assert samples(metrics)["trio_voice_relay_drops_total", (("reason", "forged-token"),)] == 3
    assert samples(metrics)["trio_voice_relay_drops_total", (("reason", 'a "quoted"\nreason'),)] == 1


def test_single_values() -> None:
    metrics = Metrics()
    metrics.add_counter("relay_datagrams", "Datagrams.", lambda: 7)
    metrics.add_gauge("transceiver_calls", "Calls.", lambda: 2)
    metrics.add_info("build", "What runs.", {"version": "0.1.0"})
    found = samples(metrics)
    assert found["trio_voice_relay_datagrams_total", ()] == 7
    assert found["trio_voice_transceiver_calls", ()] == 2
    assert found["trio_voice_build_info", (("version", "0.1.0"),)] == 1


def test_histograms_are_cumulated() -> None:
    metrics = Metrics()
    metrics.add_histogram("lateness_seconds", "How late.", lambda: Histogram([(0.001, 5), (0.01, 2)], 0.02))
    metrics.add_histogram("open_seconds", "With a last bucket.", lambda: Histogram([(1, 5), (float("inf"), 2)], 9))
    found = samples(metrics)
    assert found["trio_voice_lateness_seconds_bucket", (("le", "0.001"),)] == 5
    assert found["trio_voice_lateness_seconds_bucket", (("le", "0.01"),)] == 7
    assert found["trio_voice_lateness_seconds_bucket", (("le", "+Inf"),)] == 7
    assert found["trio_voice_lateness_seconds_count", ()] == 7
    assert found["trio_voice_lateness_seconds_sum", ()] == 0.02
    assert found["trio_voice_open_seconds_count", ()] == 7


def test_the_process_tells_of_itself_and_two_processes_worth_do_not_clash() -> None:
    one, other = Metrics(), Metrics()
    one.add_gauge("calls", "Calls.", lambda: 1)
    assert ("process_resident_memory_bytes", ()) in samples(one)
    assert ("trio_voice_calls", ()) not in samples(other)
