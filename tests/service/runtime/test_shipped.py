"""The bundles that ship: sound, proven, within their size, and able to do what the README shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.inputs import image_row
from contract.manifest import Precision
from contract.midi import play
from contract.signature import PredictSignature
from service.predict import predict_lines
from service.runtime.bundle import Bundle, open_bundle
from service.runtime.decoding import DecodingEngine
from service.runtime.errors import NoAttentionError
from service.runtime.oneshot import OneShotEngine
from service.runtime.requests import GenerateRequest, PredictRequest, Search
from service.runtime.verify import output_errors, verify_bundle
from service.settings import Settings

ARTIFACTS = Path(__file__).parents[3] / "artifacts"
TRANSLATION = ("translation-en-de", "translation-en-de-gru")
CAPTIONS = {"captions": 14e6}
WRITING = {"music": 4.5e6}
CHINESE = {"translation-zh-en": 12e6}
DRAWING = {"complete-image": 2e6, "upscale": 5e6}
ONE_SHOT = {"answers": 0.4e6, "entities": 4e6, "next-item": 9e6, "sentiment": 25e6, "sentiment-bilstm": 3e6}
OF_ONE_PRECISION = CAPTIONS | WRITING | CHINESE | DRAWING | ONE_SHOT
"""Bundle → most bytes of its whole folder."""


def test_what_ships_is_what_is_tested() -> None:
    assert sorted(path.name for path in ARTIFACTS.iterdir()) == sorted([*TRANSLATION, *OF_ONE_PRECISION])


@pytest.mark.parametrize("name", [*TRANSLATION, *OF_ONE_PRECISION])
def test_a_shipped_bundle_proves_itself(name: str) -> None:
    measured = verify_bundle(ARTIFACTS / name)
    run = [m for m in measured if m.max_error is not None]
    assert {m.precision for m in run} >= {"int8"}
    assert all(m.max_error <= m.tolerance for m in run if m.max_error is not None)


@pytest.mark.parametrize(("precision", "limit"), [("int8", 8e6), ("fp16", 16e6)])
@pytest.mark.parametrize("name", TRANSLATION)
def test_a_shipped_precision_is_small(name: str, precision: Precision, limit: float) -> None:
    bundle = open_bundle(ARTIFACTS / name, precision=precision, provider="cpu")
    files = [path for path in (bundle.folder / precision).iterdir() if path.is_file()]
    assert 1e6 < sum(path.stat().st_size for path in files) <= limit


@pytest.mark.parametrize(("name", "limit"), OF_ONE_PRECISION.items())
def test_a_shipped_bundle_of_one_precision_is_small(name: str, limit: float) -> None:
    versions = [path for path in (ARTIFACTS / name).iterdir() if path.is_dir()]
    assert len(versions) == 1
    assert limit / 10 < sum(path.stat().st_size for path in versions[0].rglob("*") if path.is_file()) <= limit


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("name", TRANSLATION)
def test_a_shipped_bundle_translates(name: str, precision: Precision) -> None:
    """fp16 is meant for CUDA; here it shows that the slots take the types of the graphs."""
    bundle = open_bundle(ARTIFACTS / name, precision=precision, provider="cpu")
    engine = DecodingEngine(bundle)
    engine.start()
    ids = bundle.source.source("A man is riding a bicycle.").ids
    inputs = {"source_ids": np.array(ids), "source_lengths": np.asarray(len(ids))}
    found = engine.submit(GenerateRequest(inputs, Search(beam_size=4))).future.result(60)
    engine.close()
    text = bundle.target.decode(found.hypotheses[0].token_ids)
    assert text in (
        "Ein Mann fährt Fahrrad.",
        "Ein Mann fährt ein Fahrrad.",
        "Ein Mann fährt auf einem Fahrrad.",
        "Ein Mann fährt mit dem Fahrrad.",
    )


def test_a_shipped_bundle_reads_chinese() -> None:
    asked = ["你叫什么名字？", "我想喝一杯咖啡。"]  # noqa: RUF001  # as Chinese writes it
    name, coffee = predict_lines(ARTIFACTS / "translation-zh-en", asked, {}, Settings())
    assert (name, "coffee" in coffee) == ("What's your name?", True)


@pytest.mark.parametrize("name", CAPTIONS)
def test_a_shipped_bundle_describes_a_picture_alike_alone_and_among_others(name: str) -> None:
    bundle = open_bundle(ARTIFACTS / name, provider="cpu")
    engine = DecodingEngine(bundle)
    engine.start()
    searches = [Search(beam_size=1 + 3 * (number % 2), max_length=20) for number in range(8)]
    requests = [GenerateRequest(drawn_row(bundle, seed), search) for seed, search in enumerate(searches)]
    alone = [engine.submit(request).future.result(60).hypotheses[0].token_ids for request in requests]
    tickets = [engine.submit(request) for request in requests]
    together = [ticket.future.result(60).hypotheses[0].token_ids for ticket in tickets]
    maps = engine.explain(requests[0].inputs, alone[:2])
    engine.close()
    assert together == alone
    rows, columns = bundle.manifest.image.grid
    assert maps.shape == (2, max(map(len, alone[:2])) + 1, rows * columns)
    np.testing.assert_allclose(maps[0, : len(alone[0])].sum(axis=-1), 1, atol=1e-3)
    assert {bundle.target.decode(ids).split()[0] for ids in alone} <= {"a", "an", "the", "two", "three", "people"}


def drawn_row(bundle: Bundle, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs of a picture of nothing: patches of random colours."""
    patches = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    size = bundle.manifest.image.size
    return image_row(np.asarray(Image.fromarray(patches).resize((size, size), Image.Resampling.BICUBIC)))


def reply(name: str, line: str, **options: object) -> dict[str, Any]:
    """What a shipped bundle says to a text or a session."""
    (answer,) = predict_lines(ARTIFACTS / name, [line], options, Settings())
    return json.loads(answer)


@pytest.mark.parametrize("name", [name for name in ONE_SHOT if name.startswith("sentiment")])
def test_a_shipped_bundle_tells_praise_from_blame(name: str) -> None:
    assert reply(name, "A wonderful, moving film.")["label"] == "positive"
    assert reply(name, "Dull, and far too long.")["label"] == "negative"


def test_a_shipped_bundle_finds_names() -> None:
    entities = reply("entities", "Angela Merkel met Tony Blair in Brussels on Tuesday.")["entities"]
    found = [(entity["text"], entity["label"], entity["start"]) for entity in entities]
    assert found == [("Angela Merkel", "PER", 0), ("Tony Blair", "PER", 18), ("Brussels", "LOC", 32)]


@pytest.mark.parametrize(("metre", "key"), [("6/8", "D"), ("4/4", "G"), ("3/4", "C")])
def test_a_shipped_bundle_composes_a_tune_that_can_be_played(metre: str, key: str) -> None:
    line = json.dumps(f"M:{metre}\nK:{key}\n")
    written = reply("music", line, seed=5)
    assert written["text"].startswith(f"M:{metre}\nK:{key}\nL:1/")
    assert play(written["tune"]).uneven <= 1
    assert written == reply("music", line, seed=5)
    assert written != reply("music", line, seed=6)


def test_a_shipped_bundle_follows_a_story() -> None:
    """Who had it, where he let it go, where he was by then: the last hop looks at the sentence that names the place."""
    story = ["John got the milk.", "Mary moved to the office.", "John went to the garden.", "John dropped the milk."]
    asked = {"story": [*story, "John travelled to the kitchen."], "question": "Where is the milk?"}
    assert reply("answers", json.dumps(asked))["text"] == "garden"
    hops = reply("answers", json.dumps(asked), explain=True)["attention"]["weights"]
    assert [max(range(5), key=weights.__getitem__) for weights in hops[1:]] == [3, 2]


@pytest.mark.parametrize("name", ONE_SHOT)
def test_a_row_among_others_gets_what_it_gets_alone(name: str) -> None:
    bundle = open_bundle(ARTIFACTS / name, provider="cpu")
    rows = [random_row(bundle, seed) for seed in range(24)]
    engine = OneShotEngine(bundle)
    engine.start()
    alone = [engine.submit(PredictRequest(row)).future.result(60).outputs for row in rows]
    tickets = [engine.submit(PredictRequest(row)) for row in rows]
    together = [ticket.future.result(60).outputs for ticket in tickets]
    engine.close()
    for one, other in zip(alone, together, strict=True):
        errors = output_errors(bundle.signature, "predict", {}, one, other)
        assert max(errors.values()) <= bundle.variant.tolerance


@pytest.mark.parametrize("name", ONE_SHOT)
def test_a_shipped_one_shot_bundle_says_what_it_looked_at(name: str) -> None:
    bundle = open_bundle(ARTIFACTS / name, provider="cpu")
    signature = bundle.signature
    assert isinstance(signature, PredictSignature)
    engine = OneShotEngine(bundle)
    row = random_row(bundle, 1)
    if not signature.explains:
        with pytest.raises(NoAttentionError):
            engine.explain(row)
        return
    maps = engine.explain(row)
    for attention in signature.attention:
        assert maps[attention.name].ndim == len(attention.axes)
        if attention.normalised:
            np.testing.assert_allclose(maps[attention.name].sum(axis=-1), 1, atol=1e-3)


def random_row(bundle: Bundle, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs of a row of random length, for whatever the model reads."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(1, 25))
    ids = rng.integers(1, bundle.manifest.vocabulary_size, length)
    known = {
        "source_ids": ids,
        "source_lengths": np.array(length),
        "character_ids": rng.integers(1, 20, (length, 5)),
        "character_counts": np.full(length, 5),
        "word_ids": rng.integers(2, bundle.manifest.vocabulary_size, (length, 6)),
        "word_counts": np.full(length, 6),
        "sentence_counts": np.array(length),
        "question_ids": ids[:5],
        "question_lengths": np.array(min(length, 5)),
        "item_ids": ids,
        "item_counts": np.array(length),
        "filter_ids": ids[:3],
        "filter_mode": np.array(0),
        "k": np.array(20),
    }
    return {tensor.name: known[tensor.name] for tensor in bundle.signature.inputs}


def test_a_shipped_bundle_recommends_what_is_not_in_the_session() -> None:
    session = "3633 2476 17586"
    items = [item["item"] for item in reply("next-item", session, exclude_seen=True)["items"]]
    assert len(set(items)) == len(items) == 20
    assert not {int(item) for item in session.split()} & set(items)
