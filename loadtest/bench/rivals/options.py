"""What every rival is told: which model, in which engine, and on what."""

from __future__ import annotations

import argparse
from pathlib import Path

from loadtest.bench.rivals.plain import Plain, open_plain

VARIABLE = "BENCH_RIVAL"
"""Where a rival that has no command line of its own finds these options, as that of another would have them."""


def parse_options(about: str | None, arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of a rival's command line, or of a list of arguments."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--engine", choices=("onnx", "torch", "ctranslate2"), default="onnx")
    parser.add_argument("--provider", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--encode-rows", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--port", type=int)
    return parser.parse_args(arguments)


def open_model(options: argparse.Namespace) -> Plain:
    """The model that they name."""
    return open_plain(
        options.engine,
        options.bundle,
        provider=options.provider,
        threads=options.threads,
        run=options.run,
        encode_rows=options.encode_rows,
    )
