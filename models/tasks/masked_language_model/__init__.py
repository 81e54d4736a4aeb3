"""Pretraining by guessing hidden tokens: a run of it is what fine-tuning may start from (`pretrained: {run: …}`)."""

from models.tasks.masked_language_model.task import MaskedLanguageTask

TASK = MaskedLanguageTask()
