"""Other ways of serving a one-shot graph, each as short as its framework lets it be, all around the same `Plain` model.

- `bare`      Starlette, a request at a time: the ceiling
- `lit`       LitServe with its batching on
- `bento`     BentoML's own adaptive batching
"""
