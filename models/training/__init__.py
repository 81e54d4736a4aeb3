"""Training of any model.

- `config`     the YAML of a run: what all tasks share
- `comparison` variants of one model on the same data and budget, with several seeds
- `task`       what a task adds, and how a YAML finds it
- `data`       batches of a run: Lightning data modules
- `module`     the Lightning module: optimiser, schedule, seeding
- `loss`       label-smoothed cross-entropy
- `decode`     batched greedy decoding through `encode` and `step`
- `predict`    outputs of one-shot models
- `average`    moving average of the weights
- `report`     metrics and learning curve
- `trainer`    one training run, resumable
- `run`        the run folder
"""
