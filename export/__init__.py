"""From a trained run to a bundle that any machine can prove: trace → optimise → verify → package.

- `graphs`, `trace`       an architecture as ONNX graphs
- `passes`, `optimise`    the recipe of each precision; `calibrate` finds int8's activation ranges
- `verify`                names, axes, numbers, step == full, row alone == row in batch, engine, metric
- `package`, `store`      the bundle's files, its manifest and its model card
- `pipeline`              the order of it all
"""
