"""Arithmetic, tables and where they go."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contract.images import read_pixels
from contract.manifest import Score
from export.markdown import MarkerError
from loadtest.bench import compare, overhead, startup
from loadtest.bench.corpus import Bleu, Corpus, CorpusError, load_corpus
from loadtest.bench.measure import Machine, Spread, cpu_seconds, describe_machine, percentile
from loadtest.bench.quality import Judged, Quality, measure_quality
from loadtest.bench.results import DOCUMENT, fill_document, save_json
from loadtest.bench.table import Table

ROOT = Path(__file__).resolve().parents[2]
MACHINE = Machine("2026-01-31", "A processor", 2, "3.11.0", {"onnxruntime": "1.2.3"})
TABLE = Table("Speed", ("name", "rate"), [("a", "1"), ("b", "2")])


def test_ratios_are_taken_repeat_by_repeat() -> None:
    ratio = Spread((10.0, 40.0, 30.0)).over(Spread((5.0, 10.0, 30.0)))
    assert ratio.values == (2.0, 4.0, 1.0)
    assert (ratio.median, ratio.lowest, ratio.highest) == (2.0, 1.0, 4.0)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) * (1 - 1e-9)
    assert sum(value < found for value in values) < share * len(values) * (1 + 1e-9)


def test_cpu_time_passes_while_one_computes() -> None:
    seconds, total = cpu_seconds(sum, range(100_000))
    assert total == 4_999_950_000
    assert seconds > 0


def test_the_machine_is_described_by_what_explains_the_numbers() -> None:
    machine = describe_machine()
    assert machine.cores >= 1
    assert date.fromisoformat(machine.day).year >= 2026
    assert set(machine.libraries) == {
        "onnxruntime",
        "ctranslate2",
        "bentoml",
        "starlette",
        "litserve",
        "torch",
        "numpy",
    }


def test_a_table_is_written_as_markdown() -> None:
    assert TABLE.markdown() == "Speed:\n\n| name | rate |\n| --- | ---: |\n| a | 1 |\n| b | 2 |"


def test_results_replace_what_stood_between_their_markers(tmp_path: Path) -> None:
    document = tmp_path / "results.md"
    document.write_text("before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nafter <!-- bench:b -->x<!-- /bench:b -->\n")
    fill_document(document, "a", MACHINE, [TABLE])
    text = document.read_text()
    assert text.startswith("before\n<!-- bench:a -->\nSpeed:\n\n| name | rate |")
    assert "old" not in text
    assert "*2026-01-31; A processor, 2 cores; Python 3.11.0, onnxruntime 1.2.3*\n<!-- /bench:a -->\nafter" in text
    assert text.endswith("<!-- bench:b -->x<!-- /bench:b -->\n")
    fill_document(document, "a", MACHINE, [TABLE])
    assert document.read_text() == text
    with pytest.raises(MarkerError, match="no place for 'bench:c'"):
        fill_document(document, "c", MACHINE, [TABLE])


@pytest.mark.parametrize(
    "name", ["runtime", "batching", "http", "peers", "caption", "startup", "quality", "judge", "precisions"]
)
def test_the_document_has_a_place_for_every_result(tmp_path: Path, name: str) -> None:
    copy = tmp_path / "results.md"
    copy.write_text((ROOT / DOCUMENT).read_text("utf-8"), "utf-8")
    fill_document(copy, name, MACHINE, [TABLE])
    assert TABLE.markdown() in copy.read_text("utf-8")


def test_raw_figures_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Result:
        rate: Spread

    monkeypatch.chdir(tmp_path)
    content = json.loads(save_json("speed", MACHINE, Result(Spread((1.0, 2.0)))).read_text())
    assert content["result"] == {"rate": {"values": [1.0, 2.0]}}
    assert content["machine"]["processor"] == "A processor"


def test_the_comparison_shows_medians_and_ratios() -> None:
    point = compare.Point(4, 64, "calls of 64", Spread((120.0, 90.0)), Spread((100.0, 100.0)), Spread((60.0, 60.0)))
    outputs = compare.Outputs(4, Bleu(39.5, 38.25, ""), None, 0.875)
    speed, quality = compare.Comparison("test", 10, [point], [outputs]).tables()
    assert speed.rows == [("beam 4", "64", "105", "100", "1.05× (0.90–1.20)", "1.75×", "calls of 64")]
    assert quality.rows == [("beam 4", "39.50 (38.25)", "–", "87.5%")]


def test_the_overhead_shows_the_share_that_is_left() -> None:
    rates = overhead.Rates(Spread((100.0, 200.0, 100.0)), Spread((50.0, 50.0, 50.0)))
    http = overhead.Rates(Spread((80.0, 150.0, 90.0)), Spread((25.0, 25.0, 25.0)))
    table = overhead.Overhead("test", [overhead.Point(1, rates, http)]).tables()[0]
    assert table.rows == [
        ("greedy", "wall", "100", "90", "80% (75%–90%)"),
        ("greedy", "CPU", "50", "25", "50% (50%–50%)"),
    ]


def test_starts_are_compared_by_their_medians() -> None:
    service = startup.Start(Spread((3.0, 4.0, 9.0)), Spread((2.0, 2.0, 2.0)), Spread((3e8, 3e8, 4e8)))
    empty = startup.Start(Spread((1.0, 2.5, 2.0)), Spread((1.0, 1.0, 1.0)), Spread((2e8, 1e8, 2e8)))
    alone = startup.Alone("a", Spread((1.5, 2.5, 2.0)), Spread((2.5e8, 2.5e8, 3e8)))
    both, each = startup.Startup(["a", "b"], service, empty, [alone]).tables()
    assert both.rows[-1] == ("above the empty one", "2.00 s", "1.00 s", "100 MB")
    assert each.rows == [("a", "2.00 s", "250 MB", "50 MB")]


def test_every_bundle_is_asked_in_its_own_way(tiny: Path) -> None:
    path, body = startup.first_request(tiny)
    assert path == "/v1/translate"
    assert json.loads(body)["text"]
    path, body = startup.first_request(tiny.parent / "tiny-captions")
    assert path == "/v1/caption"
    assert read_pixels(base64.b64decode(json.loads(body)["image"]), 32, "squeeze").shape == (32, 32, 3)
    path, body = startup.first_request(tiny.parent / "tiny-answers")
    assert (path, json.loads(body)) == ("/v1/answer", {"story": ["where"], "question": "where"})
    assert startup.first_request(tiny.parent / "tiny-tunes") == ("/v1/generate", b'{"prompt": ""}')


def test_scores_are_what_export_records() -> None:
    judged = [Judged(name, "1", "int8", Bleu(39.456, 38.0, "signature")) for name in ("a", "b")]
    scores = Quality("Multi30k en-de", "test_2016_flickr", judged).scores("a")
    assert [(score.metric, score.value) for score in scores] == [("BLEU, lower-cased", 39.46), ("BLEU, cased", 38.0)]
    assert {(score.data, score.split, score.precision) for score in scores} == {
        ("Multi30k en-de", "test_2016_flickr", "int8")
    }
    adapter = TypeAdapter(list[Score])
    assert adapter.validate_json(adapter.dump_json(scores)) == scores


def test_quality_needs_references() -> None:
    with pytest.raises(CorpusError, match="no translations to compare with"):
        measure_quality([], Corpus("shipped", "captions", ["A man."]))


def test_bleu_is_reported_with_and_without_case() -> None:
    corpus = Corpus("data", "split", ["x"], ["Ein Mann fährt mit einem Fahrrad ."])
    bleu = corpus.bleu(["ein mann fährt mit einem fahrrad ."])
    assert bleu is not None
    assert bleu.lower_cased == pytest.approx(100)
    assert bleu.cased < 60
    assert Corpus("data", "split", ["x"]).bleu(["y"]) is None


def test_without_data_the_shipped_captions_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQSERVE_DATA", raising=False)
    corpus = load_corpus(None)
    assert corpus.references is None
    assert len(corpus.sources) == 1024
    assert len(set(corpus.sources)) == 64


def test_a_folder_without_the_test_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CorpusError, match=r"test_2016_flickr\.en\.gz does not exist"):
        load_corpus(tmp_path)
    monkeypatch.setenv("SEQSERVE_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match="--data or SEQSERVE_DATA"):
        load_corpus(None)
