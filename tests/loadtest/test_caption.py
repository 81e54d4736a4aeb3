"""The comparison of caption servers: what is asked, what is counted, what is shown."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

from loadtest.bench.caption import Alone, Captions, Served, System, measure_captions
from loadtest.bench.engine import open_on_one_core, run_closed_loop, start_engine
from loadtest.bench.figures import Figures
from loadtest.bench.measure import Spread
from loadtest.bench.rivals.lit import PlainApi
from loadtest.bench.rivals.options import open_model, parse_options
from loadtest.pictures import make_photograph
from service.runtime.requests import GenerateRequest, Search

CAPTIONER = Path(__file__).resolve().parents[1] / "data" / "bundles" / "v1" / "tiny-captions"


def test_a_rival_writes_what_the_engine_writes() -> None:
    bundle = open_on_one_core(CAPTIONER)
    rival = open_model(parse_options(None, [str(CAPTIONER), "--encode-rows", "2"]))
    pictures = [rival.read(make_photograph(seed, 64, 48)) for seed in range(5)]
    engine = start_engine(bundle)
    search = Search(max_length=bundle.manifest.limits.of("target"))
    expected = run_closed_loop(engine, [GenerateRequest(each, search) for each in pictures], 5)
    engine.close()
    assert rival.run(pictures) == [generation.hypotheses[0].token_ids for generation in expected]
    assert rival.write([]) == {"captions": [{"text": ""}]}


def test_the_tables_show_where_the_time_goes_and_who_is_faster() -> None:
    def spread(*values: float) -> Spread:
        return Spread(values)

    alone = Alone(spread(0.010, 0.012), spread(0.002, 0.002), spread(0.004, 0.004), spread(0.003, 0.003), 11.04)
    latencies = spread(0.05, 0.05), spread(0.1, 0.1), spread(0.006, 0.006)
    served = [
        Served(System(1), spread(20, 20), *latencies),
        Served(System(2), spread(200, 300), *latencies),
        Served(System(2, 4), spread(100, 200), *latencies),
        Served(System(3, 1), spread(100, 200), *latencies),
    ]
    first, second = Captions("captions", "int8", 240, 62.4, alone, served).tables()
    assert "one JPEG of 640 × 480 (62 kB) at a time" in first.caption
    assert first.rows == [
        ("decode and resize", "2.0"),
        ("encode", "4.0"),
        ("11.0 steps", "3.0"),
        ("everything else", "2.0"),
        ("end to end", "11.0"),
    ]
    assert second.rows == [
        ("seqserve, 1 worker", "20", "50.0", "100.0", "6.0", "–"),
        ("seqserve, 2 workers", "250", "50.0", "100.0", "6.0", "–"),
        ("LitServe, 2 workers, encoding 4 at a time", "150", "50.0", "100.0", "6.0", "1.75× (1.50–2.00)"),
        ("LitServe, 3 workers, encoding 1 at a time", "150", "50.0", "100.0", "6.0", "–"),
    ]


def test_figures_are_added_up_by_their_labels() -> None:
    figures = Figures(
        "# TYPE seconds histogram\n"
        'seconds_count{model="a",graph="step"} 3\nseconds_count{model="b",graph="step"} 4\n'
        'seconds_count{model="a",graph="encode"} 5\n'
    )
    assert figures.total("seconds_count", graph="step") == 7
    assert figures.total("seconds_count", graph="encode", model="a") == 5
    assert figures.total("seconds_sum") == 0


class Upload(NamedTuple):
    """A file of a form, as Starlette hands it on."""

    file: io.BytesIO


def test_litserve_is_given_files_and_gives_replies_in_order() -> None:
    options = parse_options(None, [str(CAPTIONER)])
    api = PlainApi(options, batch=4)
    api.setup("cpu")
    files = [make_photograph(seed, 64, 48) for seed in range(3)]
    inputs = [api.decode_request({"image": Upload(io.BytesIO(file))}) for file in files]
    found = [api.encode_response(ids) for ids in api.unbatch(api.predict(api.batch(inputs)))]
    rival = open_model(options)
    assert found == [rival.write(*rival.run([rival.read(file)])) for file in files]


def test_the_service_is_measured(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(make_photograph(1, 64, 48))
    bundle = open_on_one_core(CAPTIONER)
    found = measure_captions(bundle, repeats=1, pictures=6, folder=tmp_path, systems=(System(1),))
    (served,) = found.served
    assert served.system == System(1)
    assert served.p99.median >= served.p50.median > 0
    alone = found.alone
    assert min(part.median for part in (alone.total, alone.decode, alone.encode, alone.steps)) > 0
    assert 1 <= alone.count <= bundle.manifest.limits.of("target")
