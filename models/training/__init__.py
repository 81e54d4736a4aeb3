"""Training of any generator.

- `config`    the YAML of a run, validated
- `loss`      label-smoothed cross-entropy
- `decode`    batched greedy decoding through `encode` and `step`
- `module`    the Lightning module: loss, optimiser, validation BLEU
- `data`      the Lightning data module
- `trainer`   one training run, resumable
- `run`       the run folder
- `report`    learning curve
"""
