"""Training of any generator.

- `config`    the YAML of a run, validated
- `data`      batches of a run: the Lightning data module
- `loss`      label-smoothed cross-entropy
- `decode`    batched greedy decoding through `encode` and `step`
- `module`    the Lightning module: loss, optimiser, validation BLEU
- `average`   moving average of the weights
- `report`    metrics and learning curve
- `trainer`   one training run, resumable
- `run`       the run folder
- `evaluate`  translation quality of a finished run
"""
