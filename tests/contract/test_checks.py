"""What is declared of requests and replies goes together with the model's tensors, or is refused."""

from __future__ import annotations

import pytest

from contract.checks import check_preprocessing
from contract.preprocessing import (
    ImagePreprocessing,
    LabelPreprocessing,
    PixelPreprocessing,
    Preprocessing,
    StoryPreprocessing,
    TextPreprocessing,
)
from contract.signature import GenerateSignature, PredictSignature, State, Tensor
from contract.tasks import TaskName

HIDDEN = State(name="hidden", dtype="float32", axes=("rows", 4))
PROMPT = Tensor(name="prompt_ids", dtype="int64", axes=("rows", "target"))
TEXT = TextPreprocessing(source_tokenizer="source.json", target_tokenizer="target.json")
LABELS = LabelPreprocessing(tokenizer="words.json", labels=("bad", "good"))
ANSWERS = StoryPreprocessing(tokenizer="words.json", answers=("garden", "kitchen", "office"))
DRAWN = PixelPreprocessing(size=8, fit="squeeze")


def seeing(side: int) -> GenerateSignature:
    pixels = Tensor(name="pixels", dtype="uint8", axes=("rows", side, side, 3))
    return GenerateSignature(inputs=(pixels,), states=(HIDDEN,))


def scoring(count: int) -> PredictSignature:
    return PredictSignature(inputs=(PROMPT,), outputs=(Tensor(name="scores", dtype="float32", axes=("rows", count)),))


CAPTIONED = ImagePreprocessing(size=32, fit="crop", grid=(4, 4), target_tokenizer="words.json")
UPSCALED = DRAWN.model_copy(update={"source_size": 4})
COMPLETING = GenerateSignature(inputs=(PROMPT,), states=(HIDDEN,))


@pytest.mark.parametrize(
    ("task", "preprocessing", "signature", "target"),
    [
        ("classify", LABELS, scoring(2), None),
        ("answer", ANSWERS, scoring(3), None),
        ("caption", CAPTIONED, seeing(32), 20),
        ("complete-image", DRAWN, COMPLETING, 192),
        ("upscale", UPSCALED, seeing(4), 192),
    ],
)
def test_what_goes_together_has_no_faults(
    task: TaskName, preprocessing: Preprocessing, signature: GenerateSignature | PredictSignature, target: int | None
) -> None:
    assert check_preprocessing(task, preprocessing, signature, target) == []


@pytest.mark.parametrize(
    ("task", "preprocessing", "signature", "target", "fault"),
    [
        ("classify", TEXT, scoring(2), None, "task 'classify' needs preprocessing of kind 'label', not 'text'"),
        ("classify", LABELS, scoring(3), None, "scores, one for each label, have the axes ('rows', 2)"),
        ("answer", ANSWERS, scoring(4), None, "'scores' of the model has ('rows', 4)"),
        ("caption", CAPTIONED, seeing(64), 20, "pictures of 32 pixels a side have the axes ('rows', 32, 32, 3)"),
        ("complete-image", DRAWN, COMPLETING, 200, "target is 200, a picture of size 8 has 192 intensities"),
        ("complete-image", UPSCALED, COMPLETING, 192, "task 'complete-image' has no source_size"),
        ("upscale", DRAWN, seeing(4), 192, "task 'upscale' needs a source_size"),
        ("upscale", UPSCALED, seeing(2), 192, "pictures of 4 pixels a side"),
    ],
)
def test_what_does_not_is_named(
    task: TaskName,
    preprocessing: Preprocessing,
    signature: GenerateSignature | PredictSignature,
    target: int | None,
    fault: str,
) -> None:
    (found,) = check_preprocessing(task, preprocessing, signature, target)
    assert fault in found
