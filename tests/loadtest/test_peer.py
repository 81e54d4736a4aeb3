"""The peer runs our weights, and searches as we do: otherwise there is nothing to compare."""

from __future__ import annotations

from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from contract.text import BOS, EOS, UNK
from loadtest.bench.convert import SpecialTokens, convert
from loadtest.bench.corpus import Corpus
from loadtest.bench.engine import run_closed_loop, start_engine, to_requests
from loadtest.bench.peer import Peer, Way, ways
from loadtest.bench.weights import WeightsError, count_heads, read_parameters
from service.runtime.bundle import Bundle
from service.runtime.decoding import EngineSettings
from service.runtime.requests import Search

SPECIAL = SpecialTokens(UNK, BOS, EOS)


def vocabularies(bundle: Bundle) -> tuple[list[str], list[str]]:
    source, target = bundle.source, bundle.target
    return source.tokens(list(range(source.vocabulary_size))), target.tokens(list(range(target.vocabulary_size)))


@pytest.fixture(scope="module")
def model(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peer") / "model"
    parameters = read_parameters(bundle.folder, bundle.manifest)
    convert(parameters, count_heads(bundle.manifest), vocabularies(bundle), SPECIAL, folder)
    return folder


@pytest.mark.parametrize("max_length", [3, 40])
@pytest.mark.parametrize(
    "search",
    [Search(), Search(beam_size=4, alternatives=4), Search(beam_size=3, length_penalty=0.4, alternatives=2)],
    ids=["greedy", "beam 4", "beam 3, penalty 0.4"],
)
def test_both_engines_find_the_same_with_the_same_scores(
    bundle: Bundle, model: Path, corpus: Corpus, search: Search, max_length: int
) -> None:
    search = Search(search.beam_size, search.length_penalty, max_length, search.alternatives)
    engine = start_engine(bundle, EngineSettings(slots=32))
    ours = run_closed_loop(engine, to_requests(bundle, corpus.sources, search), outstanding=5)
    engine.close()
    translator = ctranslate2.Translator(str(model), compute_type="float32", inter_threads=1, intra_threads=1)
    theirs = translator.translate_batch(
        [bundle.source.source(text).tokens for text in corpus.sources],
        beam_size=search.beam_size,
        num_hypotheses=search.alternatives,
        length_penalty=search.length_penalty,
        max_decoding_length=max_length,
        min_decoding_length=0,
        return_scores=True,
    )
    for generation, result in zip(ours, theirs, strict=True):
        texts = [bundle.target.tokens(hypothesis.token_ids) for hypothesis in generation.hypotheses]
        assert texts == result.hypotheses
        scores = [hypothesis.score for hypothesis in generation.hypotheses]
        np.testing.assert_allclose(scores, result.scores, rtol=0, atol=1e-4)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("scores", [False, True])
def test_every_way_gives_the_same_translations_in_order(
    bundle: Bundle, model: Path, corpus: Corpus, beam: int, scores: bool
) -> None:
    peer = Peer(model, "float32")
    tokens = [bundle.source.source(text).tokens for text in corpus.sources]
    search = Search(beam_size=beam, max_length=20)
    alone = peer.translate(tokens, search, Way(1, 1))
    assert len(alone) == len(corpus.sources)
    for way in ways(8):
        assert peer.translate(tokens, search, way, scores=scores) == alone, str(way)


def test_all_requests_that_wait_are_handed_over_at_once() -> None:
    assert ways(1) == [Way(1, 1)]
    assert ways(32) == [Way(32, 32), Way(32, 16), Way(32, 8), Way(32, 1, asynchronous=True)]
    assert [str(way) for way in ways(2)] == ["calls of 2", "2 asynchronous calls"]
    assert str(Way(64, 16)) == "calls of 64, parts of 16"


def test_a_model_that_the_peer_cannot_express_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    parameters = read_parameters(bundle.folder, bundle.manifest)
    heads, tokens = count_heads(bundle.manifest), vocabularies(bundle)
    with pytest.raises(ValueError, match=r"no place for encoder\.0\.gate\.weight"):
        convert({**parameters, "encoder.0.gate.weight": np.zeros(3)}, heads, tokens, SPECIAL, tmp_path / "more")
    missing = {name: array for name, array in parameters.items() if name != "encoder_norm.bias"}
    with pytest.raises(KeyError, match=r"no parameter 'encoder_norm\.bias'"):
        convert(missing, heads, tokens, SPECIAL, tmp_path / "fewer")
    assert not any(tmp_path.iterdir())


def test_weights_rounded_to_int8_are_not_taken_for_the_peer_s(bundle: Bundle) -> None:
    only = [variant for variant in bundle.manifest.variants if variant.precision == "int8"]
    manifest = bundle.manifest.model_copy(update={"variants": tuple(only)})
    with pytest.raises(WeightsError, match="int8 alone; the peer's weights need fp32 or fp16"):
        read_parameters(bundle.folder, manifest)
