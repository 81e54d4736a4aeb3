"""Training of a captioner: smoothed cross-entropy, what attention learns beside it, judged by BLEU."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from contract.text import TextCodec
from models.data.batches import shift_targets
from models.image_generator import ImageGenerator
from models.tasks.caption.config import CaptionTraining
from models.tasks.caption.data import CaptionBatch, PictureData
from models.tasks.caption.inputs import References
from models.tasks.caption.objectives import Reinforce, attend_everywhere
from models.tasks.caption.scores import bleu
from models.tasks.caption.self_critical import Consensus, advantages, policy_loss
from models.training.decode import draw_texts, greedy_decode
from models.training.loss import smoothed_cross_entropy
from models.training.module import TrainingModule, weight_groups


class CaptionModule(TrainingModule):
    """Logs `train_loss`, `validation_loss` and `validation_bleu_1` to `_4` of greedy captions.

    The losses are cross-entropies; what attention learns from beside them is not in them. In self-critical training
    `train_loss` is the mean score of the captions that were drawn, below zero.
    """

    model: ImageGenerator

    def __init__(
        self,
        model: ImageGenerator,
        config: CaptionTraining,
        codec: TextCodec,
        *,
        seed: int,
        total_steps: int,
        max_length: int,
    ) -> None:
        super().__init__(model, config, seed=seed, total_steps=total_steps)
        self.config = config
        self.codec = codec
        self.max_length = max_length
        self.reinforce = Reinforce(codec.vocabulary_size, reward=config.reinforce, entropy=config.entropy)
        self._hypotheses: list[str] = []
        self._references: list[References] = []
        model.encoder.requires_grad_(config.encoder == "fine-tuned")
        if config.frozen_blocks:
            for part in (model.encoder.stem, *list(model.encoder.blocks)[: config.frozen_blocks]):
                part.requires_grad_(False)

    @cached_property
    def consensus(self) -> Consensus:
        """What scores captions of the model's own, by those of the training pictures."""
        data = getattr(self.trainer, "datamodule", None)  # the attribute is made when training starts
        assert isinstance(data, PictureData)
        return Consensus(data.training_references)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The encoder's parameters learn at a rate of their own."""
        encoder = list(self.model.encoder.parameters())
        known = set(encoder)
        others = [parameter for parameter in self.parameters() if parameter not in known]
        rate = self.config.encoder_rate * self.config.learning_rate
        return weight_groups(others) + weight_groups(encoder, lr=rate)

    def training_step(self, batch: CaptionBatch, _index: int) -> Tensor:
        if self.config.objective == "self_critical":
            return self._criticise(batch)
        taught = self.model.teach(batch.inputs, batch.target_ids)
        loss = self._cross_entropy(taught.logits, batch.labels, self.config.label_smoothing)
        self.log_mean("train_loss", loss, rows=len(batch.labels), bar=True)
        real = batch.labels.ne(self.codec.pad)
        if taught.choice_log_probs is not None and taught.entropy is not None:
            loss = loss + self.reinforce(taught.logits, batch.labels, taught.choice_log_probs, taught.entropy, real)
        elif taught.weights is not None and self.config.doubly_stochastic:
            loss = loss + self.config.doubly_stochastic * attend_everywhere(taught.weights, real)
        return loss

    def _criticise(self, batch: CaptionBatch) -> Tensor:
        """The loss of captions of the model's own. What is logged is their mean score, below zero."""
        codec, copies = self.codec, self.config.captions_per_picture
        self.model.eval()  # drawn as they would be served, without dropout
        drawn = draw_texts(
            self.model, batch.inputs, copies=copies, bos=codec.bos, eos=codec.eos, max_length=self.max_length
        )
        self.model.train()
        references = [known for known in batch.references for _ in range(copies)]
        rewarded = self.consensus([codec.decode(ids) for ids in drawn], references).to(self.device)
        targets = shift_targets(drawn, pad=codec.pad, bos=codec.bos, eos=codec.eos)
        target_ids, labels = (tensor.to(self.device) for tensor in targets)
        logits = self.model.teach(batch.inputs, target_ids).logits
        advantage = advantages(rewarded.unflatten(0, (-1, copies))).flatten()
        self.log_mean("train_loss", -rewarded.mean(), rows=len(drawn), bar=True)
        return policy_loss(logits, labels, advantage, pad=codec.pad)

    def validation_step(self, batch: CaptionBatch, _index: int) -> None:
        logits = self.model(batch.inputs, batch.target_ids)
        self.log_mean("validation_loss", self._cross_entropy(logits, batch.labels), rows=len(batch.labels))
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            rows = greedy_decode(
                self.model, batch.inputs, bos=self.codec.bos, eos=self.codec.eos, max_length=self.max_length
            )
        self._hypotheses += [self.codec.decode(ids) for ids in rows]
        self._references += batch.references

    def on_validation_epoch_end(self) -> None:
        for name, score in bleu(self._hypotheses, self._references).items():
            self.log_mean(f"validation_{name}", score, rows=1, bar=name == "bleu_4")
        self._hypotheses, self._references = [], []

    def _cross_entropy(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        return smoothed_cross_entropy(
            logits.flatten(0, 1), labels.flatten(), smoothing=smoothing, ignored=self.codec.pad
        )
