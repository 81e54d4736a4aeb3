"""Other ways of serving a bundle's model, each as short as its framework lets it be.

All are around the same `Plain` models, which differ in their engine alone.

- `bare`        Starlette, a request at a time
- `lit`         LitServe with its batching on
- `bento`       BentoML's own adaptive batching
- `onnx`, `pytorch`, `translator`  the engines: ONNX Runtime, PyTorch eager, CTranslate2
"""
