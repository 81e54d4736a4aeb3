"""Completion of pictures: drawn on from what is given, judged by bits per dimension."""

from models.tasks.complete_image.task import CompleteImageTask

TASK = CompleteImageTask()
