from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.images import Fit
from models.data.captions import CaptionTable, Picture, read_captions, read_pixels
from models.layers.efficientnet import EfficientNet, ImageEncoderConfig, Stage
from models.tasks.caption.features import ROWS, FeatureCache, cache_folder
from tests.models.tasks.caption.shapes import PICTURES

STAGE = Stage(blocks=1, kernel_size=3, stride=2, expansion=2, channels=8)


def encoder(**sizes: int) -> EfficientNet:
    torch.manual_seed(0)
    return EfficientNet(
        ImageEncoderConfig(**{"image_size": 16, "stem_size": 4, "stages": (STAGE,), "head_size": 8} | sizes)
    )


@pytest.fixture
def shapes() -> list[Picture]:
    table = CaptionTable(table="captions.tsv", unused=("unused",))
    return read_captions(table, ("train.tar", "loose"), PICTURES, "train")


@torch.no_grad()
def test_what_is_kept_is_what_the_encoder_sees(shapes: list[Picture], tmp_path: Path) -> None:
    network = encoder()
    kept = FeatureCache(tmp_path, network, "crop").read(shapes)
    fresh = network(read_pixels(shapes, [None] * len(shapes), 16, "crop"))
    assert (kept.dtype, kept.shape) == (np.float16, (12, 16, 8))
    assert np.array_equal(kept, fresh.numpy().astype(np.float16))
    assert kept.std() > 0


def test_more_pictures_than_are_read_at_once(shapes: list[Picture], tmp_path: Path) -> None:
    many = (shapes * 4)[: ROWS + 5]
    kept = FeatureCache(tmp_path, encoder(), "squeeze").read(many)
    assert len(kept) == ROWS + 5
    np.testing.assert_allclose(kept[:12], kept[24:36], atol=2e-3)


def test_features_are_computed_once(shapes: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = FeatureCache(tmp_path, encoder(), "squeeze").read(shapes, view=2)
    monkeypatch.setattr("models.tasks.caption.features.read_pixels", None)
    again = FeatureCache(tmp_path, encoder(), "squeeze").read(shapes, view=2)
    assert np.array_equal(first, again)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


def test_views_differ_from_the_picture_and_from_each_other(shapes: list[Picture], tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, encoder(), "squeeze")
    plain, first, second = (cache.read(shapes, view) for view in range(3))
    for one, other in ((plain, first), (plain, second), (first, second)):
        assert np.abs(one - other).reshape(12, -1).max(axis=1).min() > 0.01


def _paths(shapes: list[Picture], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], Path]]:
    def path(
        network: EfficientNet | None = None, fit: Fit = "squeeze", given: list[Picture] = shapes, view: int = 0
    ) -> Path:
        return FeatureCache(folder, network or encoder(), fit).path(given, view)

    def other_weights() -> Path:
        network = encoder()
        with torch.no_grad():
            next(network.parameters()).view(-1)[0] += 1e-3
        return path(network)

    def other_preprocessing() -> Path:
        with monkeypatch.context() as patch:
            patch.setattr("contract.images.VERSION", 0)
            return path()

    another = replace(shapes[0], file=shapes[1].file)
    return {
        "same": path,
        "weights": other_weights,
        "encoder": lambda: path(encoder(image_size=18)),
        "fit": lambda: path(fit="crop"),
        "preprocessing": other_preprocessing,
        "order": lambda: path(given=shapes[::-1]),
        "fewer": lambda: path(given=shapes[1:]),
        "content": lambda: path(given=[another, *shapes[1:]]),
        "view": lambda: path(view=1),
        "other view": lambda: path(view=2),
    }


def test_the_file_depends_on_all_that_its_numbers_do(
    shapes: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {name: make() for name, make in _paths(shapes, tmp_path, monkeypatch).items()}
    assert len(set(found.values())) == len(found)
    assert found["same"] == FeatureCache(tmp_path, encoder(), "squeeze").path(shapes)


def test_nothing_is_left_of_a_file_that_could_not_be_finished(shapes: list[Picture], tmp_path: Path) -> None:
    class FailingError(RuntimeError):
        pass

    def fail(*_: object) -> None:
        raise FailingError

    network = encoder()
    network.register_forward_hook(fail)
    with pytest.raises(FailingError):
        FeatureCache(tmp_path, network, "squeeze").read(shapes)
    assert list(tmp_path.iterdir()) == []


def test_a_variable_names_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQSERVE_CACHE", raising=False)
    assert cache_folder(tmp_path) == tmp_path / "features"
    monkeypatch.setenv("SEQSERVE_CACHE", "/elsewhere")
    assert cache_folder(tmp_path) == Path("/elsewhere")
