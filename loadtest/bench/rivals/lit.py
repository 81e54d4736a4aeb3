"""A bundle's graphs behind LitServe, with its batching on: `python -m loadtest.bench.rivals.lit BUNDLE --port N`."""

from __future__ import annotations

import argparse
from pathlib import Path

import litserve

from contract.images import Pixels
from contract.manifest import load_manifest
from contract.rows import Row
from loadtest.bench.rivals.captions import Ids, PlainCaptioner
from loadtest.bench.rivals.plain import Plain

_BATCH, _PICTURES = 32, 16
_WAIT_SECONDS = 0.005


class PlainApi(litserve.LitAPI):  # type: ignore[misc]
    """LitServe's own hooks around a `Plain` model.

    Two are without types, as in its documentation: where there are any, it validates what comes and goes, at a price.
    """

    def __init__(self, bundle: Path) -> None:
        super().__init__(max_batch_size=_BATCH, batch_timeout=_WAIT_SECONDS)
        self._bundle = bundle

    def setup(self, device: str) -> None:
        self._model = Plain(self._bundle)

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return self._model.read(request["asked"])

    def batch(self, inputs: list[Row]) -> list[Row]:
        return inputs

    def predict(self, x: list[Row]) -> list[Row]:
        return self._model.run(x)

    def unbatch(self, output: list[Row]) -> list[Row]:
        return output

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        return self._model.write(output)


class CaptionApi(litserve.LitAPI):  # type: ignore[misc]
    """LitServe's own hooks around a `PlainCaptioner`; see `PlainApi`."""

    def __init__(self, bundle: Path, encode_rows: int) -> None:
        super().__init__(max_batch_size=_PICTURES, batch_timeout=_WAIT_SECONDS)
        self._bundle, self._encode_rows = bundle, encode_rows

    def setup(self, device: str) -> None:
        self._model = PlainCaptioner(self._bundle, self._encode_rows)

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return self._model.read(request["image"].file.read())

    def batch(self, inputs: list[Pixels]) -> list[Pixels]:
        return inputs

    def predict(self, x: list[Pixels]) -> list[Ids]:
        return self._model.run(x)

    def unbatch(self, output: list[Ids]) -> list[Ids]:
        return output

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        return self._model.write(output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--encode-rows", type=int, default=1)
    options = parser.parse_args()
    captions = load_manifest(options.bundle).task == "caption"
    api = CaptionApi(options.bundle, options.encode_rows) if captions else PlainApi(options.bundle)
    # Its faster way between its processes.
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=options.workers,
        healthcheck_path="/readyz",
        fast_queue=True,
    )
    server.run(host="127.0.0.1", port=options.port, log_level="error", generate_client_file=False)
