"""Task → the shape of model it needs and the inputs it feeds."""

from __future__ import annotations

from typing import Literal

from contract.signature import Frozen, GenerateSignature, Signature

TaskName = Literal["translate"]


class Task(Frozen):
    """What a task asks of the model behind it: the contract's shape and the names of the inputs it fills."""

    name: TaskName
    shape: Literal["generate", "predict"]
    inputs: tuple[str, ...]


TASKS: dict[TaskName, Task] = {
    "translate": Task(name="translate", shape="generate", inputs=("source_ids", "source_lengths")),
}


def check_task(task: TaskName, signature: Signature) -> list[str]:
    """Faults of a signature as a model for the task; empty when it fits."""
    wanted = TASKS[task]
    if signature.shape != wanted.shape:
        return [f"task {task!r} needs a {wanted.shape} model, this one is {signature.shape}"]
    names = tuple(tensor.name for tensor in signature.inputs)
    faults = [f"task {task!r} feeds {wanted.inputs}, the model takes {names}"] if names != wanted.inputs else []
    if isinstance(signature, GenerateSignature) and not signature.statics and not signature.states:
        faults.append(f"task {task!r}: the model keeps neither a static nor a state, so a step cannot see its source")
    return faults
