"""Training of a translation model: smoothed cross-entropy, judged by BLEU."""

from __future__ import annotations

import torch
from sacrebleu.metrics.bleu import BLEU
from torch import Tensor

from contract.text import TextCodec
from models.architecture import Generator
from models.data.batches import Batch
from models.tasks.translate.config import TranslateTraining
from models.training.decode import greedy_decode
from models.training.loss import smoothed_cross_entropy
from models.training.module import TrainingModule


class TranslateModule(TrainingModule):
    """Logs `train_loss`, `validation_loss` and `validation_bleu` (sacreBLEU, lower-cased, of greedy translations)."""

    model: Generator

    def __init__(
        self,
        model: Generator,
        config: TranslateTraining,
        target: TextCodec,
        *,
        seed: int,
        total_steps: int,
        max_length: int,
    ) -> None:
        super().__init__(model, config, seed=seed, total_steps=total_steps)
        self.smoothing = config.label_smoothing
        self.target = target
        self.max_length = max_length
        self._hypotheses: list[str] = []
        self._references: list[str] = []

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        loss = self._loss(batch)
        self.log_mean("train_loss", loss, rows=len(batch.labels), bar=True)
        return loss

    def validation_step(self, batch: tuple[Batch, list[str]], _index: int) -> None:
        examples, references = batch
        self.log_mean("validation_loss", self._loss(examples), rows=len(references))
        bos, eos = self.target.bos, self.target.eos
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            rows = greedy_decode(self.model, examples.inputs, bos=bos, eos=eos, max_length=self.max_length)
        self._hypotheses += [self.target.decode(ids) for ids in rows]
        self._references += references

    def on_validation_epoch_end(self) -> None:
        bleu = BLEU(lowercase=True).corpus_score(self._hypotheses, [self._references]).score
        self.log_mean("validation_bleu", bleu, rows=1, bar=True)
        self._hypotheses, self._references = [], []

    def _loss(self, batch: Batch) -> Tensor:
        logits = self.model(batch.inputs, batch.target_ids)
        smoothing = self.smoothing if self.training else 0.0
        return smoothed_cross_entropy(
            logits.flatten(0, 1), batch.labels.flatten(), smoothing=smoothing, ignored=self.target.pad
        )
