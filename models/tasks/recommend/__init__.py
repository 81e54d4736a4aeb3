"""Session-based recommendation: sessions of items, a catalogue, Recall@20 and MRR@20."""

from models.tasks.recommend.task import RecommendTask

TASK = RecommendTask()
