"""Pictures and captions of a captioning run, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from contract.text import TextCodec
from models.data.batches import Epoch, plan_batches, shift_targets
from models.data.captions import Picture, read_captions
from models.data.lines import carve
from models.data.tokenizer import with_dropout
from models.image_generator import ImageGenerator
from models.registry import ConfigError
from models.tasks.caption.config import CaptionConfig, CaptionData
from models.tasks.caption.features import FeatureCache, cache_folder
from models.tasks.caption.inputs import Inputs, PictureInputs, References
from models.training.config import Split
from models.training.data import SEEDS_PER_RUN, VALIDATION_SCALE, TrainingData, read_part


@dataclass(frozen=True)
class CaptionBatch:
    """Pictures with as many captions each.

    Attributes:
        inputs: `pixels [images, size, size, 3]` or `features [images, regions, channels]`.
        target_ids: `[images × captions, target]`, starting with BOS; those of a picture are consecutive.
        labels: the same tokens one step later, closed by EOS.
        references: of each picture all captions.
    """

    inputs: Inputs
    target_ids: Tensor
    labels: Tensor
    references: tuple[References, ...]

    def to(self, device: torch.device) -> CaptionBatch:
        """The same batch on another device."""
        inputs = {name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()}
        target_ids, labels = (tensor.to(device, non_blocking=True) for tensor in (self.target_ids, self.labels))
        return CaptionBatch(inputs, target_ids, labels, self.references)


def read_split(data: CaptionData, root: Path, split: Split) -> list[Picture]:
    """The pictures of one split with their captions.

    Where the table names no validation split, a fixed tenth of the training pictures is one, chosen by their names.

    Raises:
        ConfigError: the table names no such split.
        DataError: a file is missing or broken.
    """

    def read(name: str | None) -> list[Picture]:
        return read_captions(data.captions, data.images, root, name)

    return read_part(
        data.captions.named,
        split,
        read,
        lambda pictures: carve(pictures, key=lambda picture: picture.name),
        section="data.captions.splits",
    )


class PictureData(TrainingData):
    """Training batches by tokens of captions, reshuffled every epoch, and validation batches with their references.

    While the encoder is frozen, batches hold features, of one of the views that the config asks for; while it learns,
    they hold pixels, varied anew every epoch. Validation sees each picture as it is.
    """

    def __init__(
        self, train: list[Picture], validation: list[Picture], codec: TextCodec, config: CaptionConfig
    ) -> None:
        super().__init__()
        self._codec, self._config = codec, config
        self._train, self._validation = (PictureInputs(part, config.data.fit) for part in (train, validation))

    @property
    def training_references(self) -> list[References]:
        """All captions of each training picture."""
        return [picture.captions for picture in self._train.pictures]

    def epoch(self, number: int, rank: int = 0, world: int = 1) -> Epoch[CaptionBatch]:
        seed = self._config.seed * SEEDS_PER_RUN + number
        random = np.random.default_rng(seed)
        codec = with_dropout(self._codec, self._config.tokenizer.dropout)
        longest = self._config.data.max_length - 1
        fitting = ([ids for ids in of_one if len(ids) <= longest] for of_one in _encode(self._train.pictures, codec))
        captions = {i: self._draw(of_one, random) for i, of_one in enumerate(fitting) if of_one}
        if not captions:
            raise ConfigError(f"no training caption fits into data.max_length {longest + 1}")
        views = random.integers(self._config.data.views, size=len(self._train.pictures)).tolist()

        def make(indices: list[int]) -> CaptionBatch:
            if self._config.training.learns_encoder(number):
                variants = [np.random.default_rng((seed, i)) for i in indices]
                inputs = self._train.pixels(indices, self._image_size, variants)
            else:
                inputs = self._train.features(indices, [views[i] for i in indices])
            return self._batch(inputs, [captions[i] for i in indices], self._train.references(indices))

        return Epoch(self._plan(captions, self._config.training.batch_tokens, seed), make, rank, world)

    def train_dataloader(self) -> DataLoader[Any]:
        self._compute(self._train, self._config.data.views)
        return super().train_dataloader()

    def val_dataloader(self) -> DataLoader[CaptionBatch]:
        """Every process decodes the whole set: it is small, and all then agree on the score."""
        self._compute(self._validation, 1)
        random = np.random.default_rng(0)
        longest = self._config.data.max_length - 1
        captions = {
            i: self._draw([ids[:longest] for ids in of_one], random)
            for i, of_one in enumerate(_encode(self._validation.pictures, self._codec))
        }
        features = not self._learns_encoder

        def make(indices: list[int]) -> CaptionBatch:
            if features:
                inputs = self._validation.features(indices, [0] * len(indices))
            else:
                inputs = self._validation.pixels(indices, self._image_size, [None] * len(indices))
            return self._batch(inputs, [captions[i] for i in indices], self._validation.references(indices))

        plan = self._plan(captions, VALIDATION_SCALE * self._config.training.batch_tokens, seed=0)
        return DataLoader(Epoch(plan, make, rank=0, world=1), batch_size=None)

    def _draw(self, captions: list[list[int]], random: np.random.Generator) -> list[list[int]]:
        """As many captions as the config asks for; where there are fewer, some of them again."""
        order = random.permutation(len(captions)).tolist()
        return [captions[order[i % len(order)]] for i in range(self._config.training.captions_per_picture)]

    def _plan(self, captions: Mapping[int, list[list[int]]], batch_tokens: int, seed: int) -> list[list[int]]:
        """Pictures of each batch, those of captions of similar lengths together."""
        indices = list(captions)
        sizes = [(max(map(len, captions[i])) + 1,) for i in indices]
        count = self._config.training.captions_per_picture
        plan = plan_batches(sizes, batch_tokens, seed, padded=lambda longest: count * longest[0])
        return [[indices[place] for place in places] for places in plan]

    def _batch(
        self, inputs: Inputs, captions: Sequence[list[list[int]]], references: tuple[References, ...]
    ) -> CaptionBatch:
        codec = self._codec
        rows = [ids for of_one in captions for ids in of_one]
        target_ids, labels = shift_targets(rows, pad=codec.pad, bos=codec.bos, eos=codec.eos)
        return CaptionBatch(inputs, target_ids, labels, references)

    def _compute(self, inputs: PictureInputs, views: int) -> None:
        """Have the features at hand as long as they are read."""
        if not self._learns_encoder and not inputs.computed:
            assert self.trainer is not None
            folder = cache_folder(Path(self.trainer.default_root_dir).parent)
            inputs.compute(FeatureCache(folder, self._model.encoder, self._config.data.fit), views)

    @property
    def _learns_encoder(self) -> bool:
        assert self.trainer is not None
        return self._config.training.learns_encoder(self.trainer.current_epoch)

    @property
    def _image_size(self) -> int:
        return self._model.encoder.config.image_size

    @property
    def _model(self) -> ImageGenerator:
        assert self.trainer is not None
        model = self.trainer.lightning_module.model
        assert isinstance(model, ImageGenerator)
        return model


def _encode(pictures: Sequence[Picture], codec: TextCodec) -> list[list[list[int]]]:
    """Ids of the captions of each picture."""
    ids = iter(codec.encode_batch([caption for picture in pictures for caption in picture.captions]))
    return [[next(ids) for _ in picture.captions] for picture in pictures]
