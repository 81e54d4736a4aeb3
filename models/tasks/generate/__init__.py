"""Generation: tunes or running text, one token a character, judged by how likely the model finds what was written."""

from models.tasks.generate.task import GenerateTask

TASK = GenerateTask()
