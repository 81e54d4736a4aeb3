from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from safetensors.torch import save_file
from typer.testing import CliRunner

from contract.manifest import Licence, Limits, load_manifest
from export.__main__ import app
from export.errors import ExportError
from export.runs import from_run
from models.architecture import Architecture
from models.tasks.translate.codecs import Codecs
from models.training.run import CONFIG, WEIGHTS, Run, load_run, prepare
from models.training.task import parse_config
from tests.export.toys import SIZES, make_codec, make_model

DATA = Path(__file__).resolve().parents[1] / "data" / "parallel"
FILES = {"train": {"source": "train.en", "target": "train.de"}, "validation": {"source": "val.en", "target": "val.de"}}


def make_run(folder: Path, architecture: str = "recurrent_seq2seq") -> Path:
    """A run folder as training leaves it."""
    config = parse_config(
        {
            "name": "toy",
            "task": "translate",
            "architecture": {"name": architecture, **SIZES[architecture]},
            "data": {**FILES, "licence": "made for tests", "max_length": 24},
        },
        "toy",
    )
    prepare(folder, config, Codecs(make_codec(), make_codec()))
    weights = {name: value.contiguous().clone() for name, value in make_model(architecture).state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    return folder


def test_a_run_says_everything_that_a_bundle_needs(tmp_path: Path) -> None:
    material = from_run(load_run(make_run(tmp_path / "toy", "transformer"), DATA))
    assert material.limits == Limits(source=24, target=24)
    assert material.languages == ("en", "de")
    about = material.about
    assert about.licence == Licence(data="train.en", source="train.en, train.de", terms="made for tests")
    assert about.architecture == "transformer"
    assert about.description == "toy"
    assert about.training["data"]["licence"] == "made for tests"
    first = (DATA / "val.en").read_text("utf-8").splitlines()[0]
    assert material.examples[0][0] == first


def test_languages_and_data_sets_of_several_corpora(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "toy")
    (tmp_path / "data" / "captions").mkdir(parents=True)
    (tmp_path / "data" / "pairs.tsv").write_text("a\tb\n", "utf-8")
    for name in ("train.en", "train.de"):
        (tmp_path / "data" / "captions" / name).write_text("word\n", "utf-8")
    fields = yaml.safe_load((folder / CONFIG).read_text())
    table = {"table": "pairs.tsv", "source": 0, "target": 1, "header": False}
    aligned = {"source": "captions/train.en", "target": "captions/train.de"}
    fields["data"] |= {"train": [aligned, table], "validation": table, "source_language": "zh"}
    (folder / CONFIG).write_text(yaml.safe_dump(fields))
    material = from_run(load_run(folder, tmp_path / "data"))
    assert material.languages == ("zh", "de")
    assert material.about.licence.data == "captions"
    assert material.about.licence.source == "captions/train.en, captions/train.de, pairs.tsv"


def test_limits_follow_the_config_and_texts_beyond_them_are_left_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "toy", "attention_seq2seq")
    fields = yaml.safe_load((folder / CONFIG).read_text())
    fields["architecture"]["max_source_length"] = 3
    (folder / CONFIG).write_text(yaml.safe_dump(fields))
    material = from_run(load_run(folder, DATA))
    assert material.limits == Limits(source=3, target=24)
    material = replace(material, examples=[("w1 w2", ""), ("w1 w2 w3", ""), ("w4", "")])
    assert [row["source_lengths"].item() for row in material.rows] == [3, 2]


def test_an_architecture_that_does_not_generate_is_refused(tmp_path: Path) -> None:
    class Classifier(Architecture):
        signature = property(lambda self: None)

    run = load_run(make_run(tmp_path / "toy"), DATA)
    with pytest.raises(ExportError, match="'recurrent_seq2seq' is no generator"):
        from_run(Run(run.path, run.config, Classifier(), run.vocabulary, DATA))


def test_the_command_exports_a_run(tmp_path: Path) -> None:
    run, output = make_run(tmp_path / "toy"), tmp_path / "artifacts" / "toy"
    arguments = [str(run), "--output", str(output), "--data", str(DATA), "--precisions", "fp32", "--ship", "fp32"]
    result = CliRunner().invoke(app, [*arguments, "--length-penalty", "0.8"])
    assert result.exit_code == 0, result.output
    assert f"{output}/1 fp32: verified" in result.output
    manifest = load_manifest(output / "1")
    assert (manifest.name, manifest.version) == ("toy", "1")
    assert manifest.decoding_defaults.length_penalty == 0.8
    assert manifest.text.source_language == "en"
