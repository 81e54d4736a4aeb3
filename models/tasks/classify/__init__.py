"""Classification: labelled text, one tokenizer, accuracy."""

from models.tasks.classify.task import ClassifyTask

TASK = ClassifyTask()
