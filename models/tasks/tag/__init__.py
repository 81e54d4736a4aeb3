"""Entities in text by any tagger."""

from models.tasks.tag.task import TagTask

TASK = TagTask()
