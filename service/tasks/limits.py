"""What every task refuses, whatever the model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RequestLimits:
    """Characters of a text, tokens of a text to explain, width of a beam, bytes of a picture file."""

    characters: int = 20_000
    explain_tokens: int = 512
    beam_size: int = 16
    image_bytes: int = 10 << 20
