"""Translation: parallel text, two tokenizers, BLEU."""

from models.tasks.translate.task import TranslateTask

TASK = TranslateTask()
