"""Made-up requests to engines on real graphs, whatever they read."""

from __future__ import annotations

from typing import Any

import numpy as np

from contract.inputs import image_row, prompt_row, text_row
from service.runtime.bundle import Bundle
from service.runtime.requests import GenerateRequest, Search

LONGEST = 24


def make_request(bundle: Bundle, seed: int, **options: Any) -> GenerateRequest:
    """A random source of 1 to 24 tokens, closed by EOS, a random prompt of up to 24, or a random picture."""
    rng = np.random.default_rng(seed)
    deadline = options.pop("deadline", None)
    search = Search(**{"max_length": 20, **options})
    if reads_pictures(bundle):
        size = next(int(axis) for axis in bundle.signature.inputs[0].axes[1:])
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        return GenerateRequest(image_row(coarse.repeat(size // 4, axis=0).repeat(size // 4, axis=1)), search, deadline)
    if reads_prompts(bundle):
        special = bundle.manifest.special_ids
        least = 0 if special.eos is None else special.eos + 1
        ids = [
            special.bos,
            *rng.integers(least, bundle.manifest.vocabulary_size, rng.integers(0, LONGEST + 1)).tolist(),
        ]
        return GenerateRequest(prompt_row(ids), search, deadline, first_token=ids[-1], start=len(ids) - 1)
    limit = min(LONGEST, bundle.manifest.limits.of("source"))
    ids = [*rng.integers(4, bundle.source.vocabulary_size, rng.integers(0, limit)).tolist(), bundle.source.eos]
    return GenerateRequest(text_row(ids), search, deadline)


def reads_pictures(bundle: Bundle) -> bool:
    """Whether a model looks at pictures."""
    return bundle.manifest.task in ("caption", "upscale")


def reads_prompts(bundle: Bundle) -> bool:
    """Whether a model goes on from prompts."""
    return bundle.manifest.task in ("generate", "complete-image")
