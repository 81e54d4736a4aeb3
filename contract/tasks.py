"""Task → the shape of model it needs, the inputs it feeds and the outputs it reads."""

from __future__ import annotations

from typing import Literal

from contract.signature import Frozen, GenerateSignature, PredictSignature, Signature

TaskName = Literal[
    "translate", "classify", "tag", "recommend", "caption", "generate", "answer", "complete-image", "upscale"
]


class Task(Frozen):
    """What a task asks of the model behind it.

    `inputs` lists the sets of inputs that it can feed, one of which a model takes; `outputs` are what it reads of a
    one-shot model.
    """

    name: TaskName
    shape: Literal["generate", "predict"]
    inputs: tuple[tuple[str, ...], ...]
    outputs: tuple[str, ...] = ()


TASKS: dict[TaskName, Task] = {
    task.name: task
    for task in (
        Task(name="translate", shape="generate", inputs=(("source_ids", "source_lengths"),)),
        Task(
            name="classify",
            shape="predict",
            inputs=(("source_ids", "source_lengths"), ("word_ids", "word_counts", "sentence_counts")),
            outputs=("scores",),
        ),
        Task(
            name="tag",
            shape="predict",
            inputs=(
                ("source_ids", "source_lengths"),
                ("source_ids", "source_lengths", "character_ids", "character_counts"),
            ),
            outputs=("emissions",),
        ),
        Task(
            name="recommend",
            shape="predict",
            inputs=(("item_ids", "item_counts", "filter_ids", "filter_mode", "k"),),
            outputs=("candidates", "scores"),
        ),
        Task(
            name="answer",
            shape="predict",
            inputs=(("word_ids", "word_counts", "sentence_counts", "question_ids", "question_lengths"),),
            outputs=("scores",),
        ),
        Task(name="caption", shape="generate", inputs=(("pixels",),)),
        Task(name="generate", shape="generate", inputs=(("prompt_ids", "prompt_lengths"),)),
        Task(name="complete-image", shape="generate", inputs=(("prompt_ids", "prompt_lengths"),)),
        Task(name="upscale", shape="generate", inputs=(("pixels",),)),
    )
}


def check_task(task: TaskName, signature: Signature) -> list[str]:
    """Faults of a signature as a model for the task; empty when it fits."""
    wanted = TASKS[task]
    if signature.shape != wanted.shape:
        return [f"task {task!r} needs a {wanted.shape} model, this one is {signature.shape}"]
    names = tuple(tensor.name for tensor in signature.inputs)
    faults = []
    if names not in wanted.inputs:
        feeds = " or ".join(map(str, wanted.inputs))
        faults.append(f"task {task!r} feeds {feeds}, the model takes {names}")
    if isinstance(signature, GenerateSignature) and not signature.statics and not signature.states:
        faults.append(f"task {task!r}: the model keeps neither a static nor a state, so a step cannot see its source")
    if isinstance(signature, PredictSignature):
        outputs = tuple(tensor.name for tensor in signature.outputs)
        if outputs != wanted.outputs:
            faults.append(f"task {task!r} reads {wanted.outputs}, the model gives {outputs}")
    return faults
