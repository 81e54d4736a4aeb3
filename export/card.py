"""The model card: what a bundle is, where it came from, how good it is and what it cannot do."""

from __future__ import annotations

import json
from collections.abc import Sequence

from contract.manifest import Manifest, Variant

CARD = "MODEL_CARD.md"


def write_card(manifest: Manifest, description: str) -> str:
    """The card as Markdown; the manifest's `files` may still be without the card itself."""
    languages = manifest.text.source_language, manifest.text.target_language
    sections = [
        f"# {manifest.name} {manifest.version}",
        f"{description}.",
        _facts(manifest, languages),
        "## Scores\n\n" + _scores(manifest),
        "## Precisions\n\n" + _variants(manifest),
        "## How to call it\n\n" + _usage(manifest),
        "## Limits\n\n" + _limits(manifest),
        f"## Data and licence\n\nTrained on {manifest.licence.data} ({manifest.licence.source}).\n\n"
        f"Terms: {manifest.licence.terms}.",
        "## Training\n\n```json\n" + json.dumps(manifest.training, indent=1, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _facts(manifest: Manifest, languages: tuple[str | None, str | None]) -> str:
    rows = [
        ("task", manifest.task),
        ("architecture", f"`{manifest.architecture}`, {manifest.parameters:,} parameters"),
        ("vocabulary", f"{manifest.vocabulary_size:,} target tokens"),
        ("created", manifest.created),
        ("format", f"ONNX, opset {manifest.opset}"),
    ]
    if all(languages):
        rows.insert(1, ("languages", f"{languages[0]} → {languages[1]}"))
    return _table(("", ""), rows)


def _scores(manifest: Manifest) -> str:
    if not manifest.scores:
        return "None recorded."
    rows = [
        (score.metric, f"{score.value:.2f}", f"{score.data}, {score.split}", score.precision, score.note)
        for score in manifest.scores
    ]
    return _table(("metric", "value", "data", "precision", "note"), rows)


def _variants(manifest: Manifest) -> str:
    rows = [
        (
            variant.precision,
            variant.provider,
            variant.status,
            f"{_megabytes(manifest, variant):.1f} MB",
            "not measured" if variant.max_error is None else f"{variant.max_error:.2g}",
            f"{variant.tolerance:g}",
        )
        for variant in manifest.variants
    ]
    table = _table(
        ("precision", "runs on", "status", "size", "difference from PyTorch", "tolerance of the proof"), rows
    )
    return (
        f"{table}\n\nThe difference is the largest absolute one from PyTorch in fp32 over the golden inputs, in "
        "log-probability or an output's own unit. `python -m service verify` repeats the proof on any machine: its "
        "numbers must be within the tolerance of PyTorch's, or for int8 of those found at export. *Unproven* graphs "
        "have not been run on the hardware they are meant for."
    )


def _usage(manifest: Manifest) -> str:
    return (
        "```sh\n"
        f"curl -s localhost:3000/v1/{manifest.task} -H 'content-type: application/json' \\\n"
        f'  -d \'{{"model": "{manifest.name}", "text": "…"}}\'\n'
        "```\n\n"
        f"Without options it searches with a beam of {manifest.decoding_defaults.beam_size} and a length penalty of "
        f"{manifest.decoding_defaults.length_penalty:g}."
    )


def _limits(manifest: Manifest) -> str:
    source, target = manifest.limits.of("source"), manifest.limits.of("target")
    return (
        f"Inputs of at most {source} tokens and outputs of at most {target}. The model "
        "knows its training data and nothing else: text of another kind, names, numbers and rare words come out worse, "
        "and what it writes may be fluent and wrong. It has not been examined for bias."
    )


def _megabytes(manifest: Manifest, variant: Variant) -> float:
    own = [file.bytes for name, file in manifest.files.items() if name.startswith(f"{variant.precision}/")]
    return sum(own) / 1e6


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
