"""What is learnt from is what is served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contract.images import Fit
from models.data.captions import CaptionTable, read_captions
from service.tasks.caption import Options
from tests.service.caption_fakes import SIZE, FakeCaptionEngine, make_captioner

PICTURES = Path(__file__).resolve().parents[3] / "data" / "pictures"


@pytest.mark.parametrize("fit", ["squeeze", "crop"])
def test_training_and_serving_get_the_same_pixels(fit: Fit) -> None:
    engine = FakeCaptionEngine()
    captioner = make_captioner(engine, fit=fit).task
    pictures = read_captions(CaptionTable(table="captions.tsv", unused=("unused",)), ("loose",), PICTURES, "dev")
    assert len(pictures) == 3
    for picture in pictures:
        (request,) = captioner.read(picture.content, Options(), "image").requests(None, 0)
        assert np.array_equal(picture.pixels(SIZE, fit), request.inputs["pixels"])
    engine.close()
