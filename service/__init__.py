"""The serving side, free of torch: bundles in, HTTP out.

- `runtime`   queue, batch and run; a plain library without a web framework
- `tasks`     what a task does before and after the model
- `api`       the HTTP face
- `catalogue` the loaded models; `bundles` finds their folders, `reload` follows what changes in them
- `predict`   lines through a bundle without a server
- `keys`      API keys in a file; `logs` and `tracing`: what is told of requests
- `connection` the bounds of one; `siblings` the other workers; `heap` the garbage collector
- `app`       the BentoML service; `settings`, `metrics`: each thing declared once; `sampling` sets what gauges show
"""
