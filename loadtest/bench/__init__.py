"""The numbers of docs/performance.md: `python -m loadtest.bench` measures all of them, `… NAME` one.

- `runtime`    the decoding engine against CTranslate2 in one process, on the same weights
- `batching`   continuous against static batching on the same graphs
- `http`       `/v1/translate` against the engine without a server
- `peers`      the routes beside the same weights behind other servers and in other engines
- `caption`    `/v1/caption`: where the time goes, and the same graphs behind LitServe
- `capacity`   what a replica can do, and how many are needed (docs/capacity.md)
- `startup`    time to `/readyz` and memory, above an empty BentoML service
- `quality`    BLEU through `/v1/translate`
- `judge`      scores through the other routes

This is the one part of `loadtest` that runs our code in-process, and then only what a bundle needs to run.
"""
