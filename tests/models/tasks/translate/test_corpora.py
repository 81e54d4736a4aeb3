"""Splits that are several corpora: read, kept apart from what is evaluated, and judged together and one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.data.parallel import Pair
from models.registry import ConfigError
from models.tasks.translate import evaluate
from models.tasks.translate.config import ParallelData, TranslateConfig
from models.tasks.translate.data import read_split
from models.training.run import Run

ALIGNED = {"source": "captions/{}.zh", "target": "captions/{}.en"}
TABLE = {"table": "sentences/{}.tsv", "source": "zh", "target": "en"}
CAPTIONS = {
    "train": [("狗。", "A dog."), ("猫。", "A cat.")],
    "test": [("狗", "The dog sits there."), ("茶", "Some tea.")],
}
SENTENCES = {"train": [("你好。", "Hello."), ("茶", "Tea.")], "test": [("再见。", "Good bye and thank you.")]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("captions", "sentences"):
        (tmp_path / folder).mkdir()
    for split in ("train", "test"):
        for side, language in enumerate(("zh", "en")):
            text = "".join(f"{pair[side]}\n" for pair in CAPTIONS[split])
            (tmp_path / f"captions/{split}.{language}").write_text(text, "utf-8")
        rows = "".join(f"{source}\t{target}\n" for source, target in SENTENCES[split])
        (tmp_path / f"sentences/{split}.tsv").write_text(f"zh\ten\n{rows}", "utf-8")
    return tmp_path


def parallel(**fields: Any) -> ParallelData:
    """Both corpora in `train` and `test`."""
    files = {
        split: [{key: name.format(split) for key, name in corpus.items()} for corpus in (TABLE, ALIGNED)]
        for split in ("train", "test")
    }
    return ParallelData.model_validate(files | fields)


def test_a_split_is_its_corpora_one_after_the_other(root: Path) -> None:
    data = parallel(validation={"table": "sentences/test.tsv", "source": 0, "target": 1})
    assert read_split(data, root, "train") == [*SENTENCES["train"], *CAPTIONS["train"]]
    assert read_split(data, root, "validation") == SENTENCES["test"]
    assert data.training_files == ("sentences/train.tsv", "captions/train.zh", "captions/train.en")


def test_no_corpus_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 item"):
        parallel(train=[])


def test_what_is_evaluated_can_be_kept_out_of_training(root: Path) -> None:
    """The source 茶 of a test pair stands in training, with another translation; "Hello." is a validation target."""
    (root / "val.zh").write_text("嗨\n", "utf-8")
    (root / "val.en").write_text("Hello.\n", "utf-8")
    validation = {"source": "val.zh", "target": "val.en"}
    kept: list[Pair] = read_split(parallel(validation=validation, unseen=True), root, "train")
    assert kept == CAPTIONS["train"]
    assert len(read_split(parallel(validation=validation), root, "train")) == 4


def make_run(root: Path, data: ParallelData) -> Run[Any, Any]:
    config = TranslateConfig(name="tiny", architecture={"name": "transformer"}, data=data)
    return Run(root, config, None, None, root)  # type: ignore[arg-type]


def test_bleu_is_of_all_together_and_of_each_corpus(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ["no word", "is right"]
    answers = [SENTENCES["test"][0][1].upper(), *wrong]
    monkeypatch.setattr(evaluate, "translate", lambda run, texts: answers)
    scores = evaluate.bleu_scores(make_run(root, parallel()), "test")
    assert scores["sentences"] == 3
    assert (scores["sentences.sentences"], scores["captions.sentences"]) == (1, 2)
    assert scores["sentences.bleu_lower_cased"] == 100
    assert 0 < float(scores["sentences.bleu"]) < 20
    assert scores["captions.bleu"] == scores["captions.bleu_lower_cased"] == 0
    assert 0 < float(scores["bleu_lower_cased"]) < 100


def test_a_single_corpus_is_judged_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = parallel(test={"source": "captions/test.zh", "target": "captions/test.en"})
    monkeypatch.setattr(evaluate, "translate", lambda run, texts: [target for _, target in CAPTIONS["test"]])
    scores = evaluate.bleu_scores(make_run(root, data), "test")
    assert scores["bleu"] == 100
    assert not [name for name in scores if "." in name]
    with pytest.raises(ConfigError, match="no test files"):
        evaluate.bleu_scores(make_run(root, data.model_copy(update={"test": None})), "test")
