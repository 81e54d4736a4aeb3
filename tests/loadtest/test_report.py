"""What is kept of a run, what it is held against, and what is said of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from loadtest.bench.figures import Figures
from loadtest.report import Record, Report
from loadtest.shapes import Phase
from loadtest.soak import Look, summarise
from loadtest.thresholds import SHIPPED, Thresholds, ThresholdsError, load_thresholds
from loadtest.traffic.question import Outcome

PHASES = [
    Phase("warm-up", 1, users=2, judged=False),
    Phase("peak", 10, users=2, full=True),
    Phase("overload", 10, of_peak=10, refuses=True),
    Phase("recovery", 10, of_peak=0.5),
]


def note(
    record: Record,
    phase: str,
    count: int,
    outcome: Outcome = "answered",
    seconds: float = 0.1,
    during: str | None = None,
) -> None:
    status = {"answered": 200, "refused": 429, "failed": 500}[outcome]
    fault = "status 500" if outcome == "failed" else None
    for _ in range(count):
        record.note(phase, "tag", "/v1/tag", status, outcome, seconds, fault, phase if during is None else during)


def finish(record: Record, **unsent: int) -> Report:
    return record.report("overload", PHASES, {"overload": 100.0}, Counter(unsent))


def test_requests_are_kept_apart_by_phase_and_outcome() -> None:
    record = Record()
    for milliseconds in range(1, 101):
        note(record, "peak", 1, seconds=milliseconds / 1000)
    note(record, "overload", 60)
    note(record, "overload", 30, "refused", 0.02)
    note(record, "overload", 10, "failed")
    report = Report.model_validate_json(finish(record, overload=7).model_dump_json())
    peak, overload = report.phases[1:3]
    (endpoint,) = peak.endpoints
    assert (endpoint.p50, endpoint.p95, endpoint.p99) == pytest.approx((50, 95, 99))
    assert (peak.goodput, overload.goodput, overload.offered) == (10, 6, 10)
    assert (overload.rate, overload.unsent, overload.refusal) == (100, 7, pytest.approx(20))
    assert overload.endpoints[0].statuses == {200: 60, 429: 30, 500: 10}
    assert overload.endpoints[0].faults == {"status 500": 10}
    assert (report.counts(), report.counts("tag"), report.counts("translate"), report.errors()) == (200, 200, 0, 10)
    assert record.completed("peak") == 100


def test_goodput_is_what_was_answered_while_a_phase_lasted() -> None:
    record = Record()
    note(record, "peak", 80)
    note(record, "peak", 20, during="overload")
    note(record, "overload", 50)
    note(record, "overload", 40, during="")
    peak, overload = finish(record).phases[1:3]
    assert (peak.goodput, overload.goodput) == (8, 7)
    assert (peak.offered, overload.offered) == (10, 9)


def breaches(record: Record, thresholds: Thresholds | None = None, **unsent: int) -> list[str]:
    return (thresholds or Thresholds()).breaches(finish(record, **unsent))


def overloaded(answered: int = 90, refused: int = 800, refusal: float = 0.01) -> Record:
    record = Record()
    note(record, "peak", 100)
    note(record, "overload", answered, seconds=20)
    note(record, "overload", refused, "refused", refusal)
    return record


def test_a_run_that_keeps_to_its_thresholds_passes() -> None:
    record = overloaded()
    note(record, "warm-up", 5, "failed")
    assert breaches(record, overload=3) == [], "what is slow or refused in an overload, or fails before, is no breach"


def test_each_breach_is_named() -> None:
    record = overloaded()
    note(record, "peak", 20, seconds=2)
    note(record, "peak", 1, "failed")
    note(record, "recovery", 20, seconds=2)
    assert breaches(record, peak=4) == [
        "peak: /v1/tag: 1 of 121 went wrong, the limit is 0.00%: status 500 (1×)",
        "peak: 4 requests were due and never sent: every user was waiting for a reply",
        "overload: goodput is 75% of the peak, the limit is 80%",
        "recovery: /v1/tag: 95th percentile 2000 ms, the limit is 1000",
    ], "of a peak, requests may be as late as it takes to fill the service"
    own = Thresholds.model_validate({"endpoints": {"/v1/tag": {"p95": 3000, "error_rate": 0.01}}})
    assert breaches(record, own) == ["overload: goodput is 75% of the peak, the limit is 80%"]


def test_a_refusal_counts_as_wrong_where_none_should_be() -> None:
    record = overloaded()
    note(record, "peak", 1, "refused")
    assert breaches(record) == ["peak: /v1/tag: 1 of 101 went wrong, the limit is 0.00%: refused"]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (overloaded(answered=70), "goodput is 70% of the peak"),
        (overloaded(refusal=0.06), "half of the refusals took over 60 ms, not 50"),
        (overloaded(refused=0, answered=900), "nothing was refused, so that it was no overload"),
        (overloaded(refused=300), "only 39 of 100 requests a second could be sent"),
        (Record(), "nothing was asked"),
    ],
)
def test_an_overload_must_be_one_and_be_borne(record: Record, said: str) -> None:
    (breach,) = breaches(record)
    assert said in breach


def test_the_shipped_thresholds_are_read_and_nonsense_is_named(tmp_path: Path) -> None:
    shipped = load_thresholds(SHIPPED)
    assert shipped.overload.goodput == 0.8
    assert shipped.overload.refusal == 50
    file = tmp_path / "own.yaml"
    file.write_text("default: {p59: 3}\nendpoints: {/v1/tag: {error_rate: 2}}\n", encoding="utf-8")
    with pytest.raises(ThresholdsError, match=r"default\.p59: Extra inputs.*endpoints\./v1/tag\.error_rate: Input"):
        load_thresholds(file)
    with pytest.raises(ThresholdsError, match="No such file"):
        load_thresholds(tmp_path / "none.yaml")


def figures(count: int) -> Figures:
    name = "seqserve_request_duration_seconds"
    lines = [f'{name}_count{{task="{task}",outcome="ok"}} {count}' for task in ("tag", "metrics")]
    return Figures(f"# TYPE {name} histogram\n" + "\n".join(lines) + "\n")


def test_a_soak_adds_up_and_its_memory_stays() -> None:
    record = overloaded(answered=100, refused=0)
    looks = [Look(seconds=second, resident_bytes=1_000_000 + 50 * second) for second in range(601)]
    sound = summarise(600, looks, figures(3), figures(203), finish(record), kept=True)
    assert sound.faults() == []
    assert (sound.sent, sound.counted) == ({"tag": 200}, {"tag": 200})
    assert sound.baseline_bytes == 1_006_000
    assert sound.end_bytes == 1_029_700, "of the last looks, the one in the middle"


def test_what_a_soak_breaks_is_named() -> None:
    record = overloaded(answered=99, refused=0)
    note(record, "peak", 1, "failed")
    looks = [Look(seconds=second, resident_bytes=1000 + second) for second in range(601)]
    broken = summarise(600, looks, figures(0), figures(199), finish(record), kept=False)
    memory, *rest = broken.faults()
    assert memory.startswith("memory grew by 42.3%")
    assert memory.endswith("after 120 s, limit 5%")
    assert rest == [
        "1 replies were of the 5xx kind",
        "tag: 200 requests were sent, the service counted 199",
        "thresholds were broken, as told above",
    ]
