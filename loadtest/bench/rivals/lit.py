"""A model behind LitServe, with its batching on: `python -m loadtest.bench.rivals.lit BUNDLE --port N`."""

from __future__ import annotations

import argparse
from typing import Any

import litserve

from contract.manifest import load_manifest
from contract.versions import latest_version
from loadtest.bench.rivals.options import open_model, parse_options
from loadtest.bench.rivals.plain import Plain

_BATCH, _PICTURES = 32, 16
_WAIT_SECONDS = 0.005


class PlainApi(litserve.LitAPI):  # type: ignore[misc]
    """LitServe's own hooks around a model.

    Two are without types, as in its documentation: where there are any, it validates what comes and goes, at a price.
    """

    def __init__(self, options: argparse.Namespace, batch: int) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=_WAIT_SECONDS)
        self._options = options

    def setup(self, device: str) -> None:
        self._model: Plain = open_model(self._options)

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        # A form holds a file.
        return self._model.read(request["image"].file.read() if "image" in request else request["asked"])

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, x: list[Any]) -> Any:
        return self._model.run(x)

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        return self._model.write(output)


if __name__ == "__main__":
    options = parse_options(__doc__)
    captions = load_manifest(latest_version(options.bundle)).task == "caption"
    # Its faster way between its processes.
    server = litserve.LitServer(
        PlainApi(options, _PICTURES if captions else _BATCH),
        accelerator="cpu",
        workers_per_device=options.workers,
        healthcheck_path="/readyz",
        fast_queue=True,
    )
    server.run(host="127.0.0.1", port=options.port, log_level="error", generate_client_file=False)
