"""Pictures drawn from smaller ones, judged by bits per dimension."""

from models.tasks.upscale.task import UpscaleTask

TASK = UpscaleTask()
