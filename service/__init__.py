"""The serving side, free of torch: bundles in, HTTP out.

- `runtime`   queue, batch and run; a plain library without a web framework
- `tasks`     what a task does before and after the model
- `api`       the HTTP face
- `app`       the BentoML service; `settings`, `metrics`: each thing declared once
"""
