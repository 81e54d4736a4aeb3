"""Features of pictures under a frozen encoder: computed once, kept on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray

from contract import images
from contract.images import Fit
from models.data.captions import Picture, read_pixels
from models.data.pictures import SMALLEST_CROP
from models.layers.efficientnet import EfficientNet

CACHE_VARIABLE = "SEQSERVE_CACHE"
ROWS = 32

Features = NDArray[np.float16]


def cache_folder(runs: Path) -> Path:
    """Where features are kept: the folder named by SEQSERVE_CACHE, else `features` in the folder of run folders."""
    return Path(os.environ[CACHE_VARIABLE]) if CACHE_VARIABLE in os.environ else runs / "features"


class FeatureCache:
    """What an encoder sees in pictures, in a file for each list of pictures and each view of them.

    The file's name is a digest of all that its numbers depend on: the encoder's sizes and weights, how pictures are
    read, fitted and varied, the pictures' bytes and their order. So nothing is ever out of date; files of no more use
    are the user's to remove. Several processes may compute the same file at a time.

    Args:
        folder: of the files; made when the first is written.
        encoder: as it is now; it must not change while the cache is used.
        fit: how pictures become squares.
    """

    def __init__(self, folder: Path, encoder: EfficientNet, fit: Fit) -> None:
        self._folder, self._encoder, self._fit = folder, encoder, fit
        weights = blake2b()
        for name, value in encoder.state_dict().items():
            weights.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        self._described = {
            "encoder": encoder.config.model_dump(mode="json"),
            "weights": weights.hexdigest(),
            "reading": images.VERSION,
            "fit": fit,
        }

    def read(self, pictures: Sequence[Picture], view: int = 0) -> Features:
        """Features of every picture, `[pictures, regions, channels]`, mapped from the file.

        Args:
            pictures: in the order of the result.
            view: 0 is the picture as it is, each other number a variant of it.

        Raises:
            DataError: a picture cannot be read.
        """
        path = self.path(pictures, view)
        if not path.exists():
            self._write(path, pictures, view)
        features: Features = np.load(path, mmap_mode="r")
        return features

    def path(self, pictures: Sequence[Picture], view: int = 0) -> Path:
        """The file of these pictures' features."""
        contents = blake2b()
        for picture in pictures:
            contents.update(blake2b(picture.content).digest())
        varied = {"view": view, "smallest_crop": SMALLEST_CROP} if view else {}
        described = self._described | varied | {"pictures": contents.hexdigest()}
        name = blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16).hexdigest()
        return self._folder / f"{name}.npy"

    def _write(self, path: Path, pictures: Sequence[Picture], view: int) -> None:
        """Compute a file and put it in place whole."""
        config, device = self._encoder.config, self._encoder.stem.weight.device
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{uuid4().hex}")
        try:
            shape = (len(pictures), config.regions, config.head_size)
            features = np.lib.format.open_memmap(unfinished, "w+", np.float16, shape)
            for start in range(0, len(pictures), ROWS):
                part = range(start, min(start + ROWS, len(pictures)))
                randoms = [np.random.default_rng((view, i)) if view else None for i in part]
                pixels = read_pixels([pictures[i] for i in part], randoms, config.image_size, self._fit)
                with torch.no_grad(), torch.autocast(device.type, enabled=False):
                    features[start : part.stop] = self._encoder(pixels.to(device)).cpu().numpy()
            features.flush()
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
