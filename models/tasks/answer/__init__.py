"""Answers to questions about stories, by any answerer."""

from models.tasks.answer.task import AnswerTask

TASK = AnswerTask()
