"""The PyTorch side: architectures, the data that feeds them and their training.

- `architecture`   the interface every architecture implements
- `registry`       architectures by name
- `command`        what the commands over runs have in common
- `listing`        which of them is used where
- `architectures`  one file per family
- `layers`         what they are built from
- `data`           readers, tokenizer training, batches
- `training`       config, loss, Lightning module, run folders
- `configs`        one YAML per trained model
"""
