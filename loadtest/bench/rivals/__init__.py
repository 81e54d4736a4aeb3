"""Other ways of serving a bundle's graphs, each as short as its framework lets it be.

All are around the same `Plain` model, or the same `PlainCaptioner`.

- `bare`      Starlette, a request at a time: the ceiling
- `lit`       LitServe with its batching on
- `bento`     BentoML's own adaptive batching
"""
