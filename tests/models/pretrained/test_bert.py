"""Weights of installed packages; with no package installed the tests that need it are skipped."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.layers.bert import BertEncoder
from models.pretrained.bert import PretrainedBert, read_package, translate_weights
from models.pretrained.packages import MINILM, PACKAGES, package_folder
from models.registry import ConfigError

TEXTS = ["A gripping film.", "an utterly unbelievable, over-long mess of a movie 🎬 that café owners will love", "no"]

installed = pytest.mark.skipif(
    find_spec(PACKAGES[MINILM][0]) is None, reason=f"{MINILM} is not installed (extra: pretrained)"
)


@pytest.fixture(scope="module")
def start() -> PretrainedBert:
    return read_package(package_folder(MINILM))


@pytest.fixture(scope="module")
def encoder(start: PretrainedBert) -> BertEncoder:
    made = BertEncoder(start.codec.vocabulary_size, dropout=0.1, **start.sizes).eval()
    made.load_state_dict(start.weights)  # strict: every parameter is given, and no other
    return made


def batch(start: PretrainedBert) -> tuple[Tensor, Tensor]:
    rows = [torch.tensor(encoding.ids) for encoding in map(start.codec.encode, TEXTS)]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return ids, torch.tensor([len(row) for row in rows])


@installed
def test_the_tokenizer_closes_texts_and_neither_cuts_nor_pads(start: PretrainedBert) -> None:
    encoding = start.codec.encode("A film.")
    assert encoding.tokens == ["[CLS]", "a", "film", ".", "[SEP]"]
    assert encoding.ids == [101, 1037, 2143, 1012, 102]
    assert len(start.codec.encode("film " * 300).ids) == 302


@installed
def test_the_encoder_takes_all_weights(encoder: BertEncoder) -> None:
    sizes = {"layers": len(encoder.layers), "words": tuple(encoder.token_embedding.weight.shape)}
    assert sizes == {"layers": 6, "words": (30522, 384)}
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 22_564_608


@installed
def test_hidden_states_are_those_of_the_packages_own_model(start: PretrainedBert, encoder: BertEncoder) -> None:
    """The reference is the class that the package names, `BertModel` of the `transformers` library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library that is not ours, as it is imported
        from transformers import BertModel

        reference = BertModel.from_pretrained(package_folder(MINILM), attn_implementation="eager").eval()
    ids, lengths = batch(start)
    mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
    with torch.no_grad():
        expected = reference(ids, attention_mask=mask.long()).last_hidden_state
        found = encoder(ids, lengths)
    torch.testing.assert_close(found[mask], expected[mask], rtol=0, atol=1e-4)


@installed
def test_a_parameter_that_is_missing_or_unknown_is_named() -> None:
    weights = load_file(package_folder(MINILM) / "model.safetensors")
    weights["pooler.dense.scale"] = weights.pop("encoder.layer.3.output.dense.bias")
    with pytest.raises(ConfigError, match=r"missing \['encoder.layer.3.output.dense.bias'\], unknown \['pooler.dense"):
        translate_weights(weights, 6)
    with pytest.raises(ConfigError, match=r"BERT of 7 layers: missing \['encoder.layer.6"):
        translate_weights(load_file(package_folder(MINILM) / "model.safetensors"), 7)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta", "hidden_act": "gelu"}))
    with pytest.raises(ConfigError, match=r"another kind than .*'model_type': 'roberta'"):
        read_package(tmp_path)
