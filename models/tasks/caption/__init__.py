"""Captions: pictures, one tokenizer, BLEU against several references."""

from models.tasks.caption.task import CaptionTask

TASK = CaptionTask()
