from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tickstockpl.metrics import _LATENCIES_S, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def test_two_services_in_one_process_do_not_share_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.loop_lag_seconds.set(2)
    assert samples(one)["tickstockpl_loop_lag_seconds", ()] == 2
    assert samples(other)["tickstockpl_loop_lag_seconds", ()] == 0


def test_the_engines_counters_are_read_anew_for_each_scrape() -> None:
    metrics, counters = Metrics(), {"ticks": 3, "folded": 2, "refused_bad_json": 1, "open_bars": 4}
    metrics.read_engine(lambda: counters)
    assert samples(metrics)["tickstockpl_ticks_total", ()] == 3
    counters["ticks"] = 5
    found = samples(metrics)
    assert found["tickstockpl_ticks_total", ()] == 5
    assert found["tickstockpl_tick_outcomes_total", ("folded",)] == 2
    assert found["tickstockpl_refused_total", ("bad_json",)] == 1
    assert found["tickstockpl_open_bars", ()] == 4


def test_queues_and_stages_show_their_numbers_and_states_by_name() -> None:
    metrics = Metrics()
    statuses: dict[str, dict[str, Any]] = {
        "ingest": {"state": "ok", "messages": {"data.raw": 7}, "address": "redis://x", "connected": True},
        "writer": {"state": "degraded", "reason": "slow", "rows": 9, "oldest_s": None},
    }
    metrics.read_queues(lambda: [("inbound", 3, 64)])
    metrics.read_stages(lambda: statuses)
    found = samples(metrics)
    assert found["tickstockpl_queue_items", ("inbound",)] == 3
    assert found["tickstockpl_queue_capacity", ("inbound",)] == 64
    assert found["tickstockpl_stage_state", ("ingest",)] == 0
    assert found["tickstockpl_stage_state", ("writer",)] == 1
    assert found["tickstockpl_ingest_messages", ("data.raw",)] == 7
    assert found["tickstockpl_writer_rows", ()] == 9
    assert not any("address" in name or "oldest" in name for name, _ in found)


@given(seen=st.lists(st.tuples(st.sampled_from(_LATENCIES_S) | st.floats(0, 20), st.integers(1, 5))))
def test_durations_noted_together_are_exported_as_if_one_by_one(seen: list[tuple[float, int]]) -> None:
    metrics, registry = Metrics(), CollectorRegistry()
    plain = Histogram("tickstockpl_publish_seconds", "The same.", buckets=_LATENCIES_S, registry=registry)
    for seconds, count in seen:
        metrics.publish_seconds.observe(seconds, count)
        for _ in range(count):
            plain.observe(seconds)
    found = samples(metrics)
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                assert found[sample.name, tuple(sample.labels.values())] == pytest.approx(sample.value)
