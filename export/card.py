"""The model card: what a bundle is, where it came from, how good it is and what it cannot do."""

from __future__ import annotations

import json

from contract.inputs import START
from contract.manifest import Manifest, Variant
from contract.preprocessing import (
    Fit,
    ImagePreprocessing,
    ItemPreprocessing,
    LabelPreprocessing,
    PixelPreprocessing,
    PromptPreprocessing,
    TagPreprocessing,
    TextPreprocessing,
)
from contract.tasks import TaskName
from export.markdown import table

CARD = "MODEL_CARD.md"

_EXAMPLES: dict[TaskName, str] = {
    "translate": '"text": "…"',
    "classify": '"text": "…"',
    "tag": '"text": "…"',
    "recommend": '"session": [1, 2, 3]',
    "answer": '"story": ["…", "…"], "question": "…"',
    "generate": '"prompt": "…"',
}
"""Task → what a request says in JSON; pictures are sent as files."""
_CAVEATS: dict[TaskName, str] = {
    "answer": "it refuses words that they do not hold, and to a question of another kind it gives one of the same "
    "answers, with a score that means little",
    "translate": "text of another kind, names, numbers and rare words come out worse, and what it writes may be fluent "
    "and wrong",
    "classify": "text of another kind is given one of the same labels, with a score that means little",
    "tag": "in text of another kind it misses names and takes other words for them",
    "recommend": "items that are new since are never recommended, and what was popular then is preferred",
    "caption": "in pictures of another kind it sees what it knows, numbers, colours and rare things come out worse, "
    "and what it writes may be fluent and wrong",
    "complete-image": "its pictures are small, and what it draws goes on with colours and edges near by: of people, "
    "animals and things it knows nothing",
    "upscale": "its pictures are small, and what it adds is likely where it was trained, not what was there: faces and "
    "writing are made up",
    "generate": "what it writes is made of what it has seen, and may repeat some of it word for word or note for note",
}
_FITTED: dict[Fit, str] = {"squeeze": "the whole squeezed", "crop": "the middle scaled"}
_TUNE = r'"prompt": "M:6/8\nK:D\n"'
_COUNTED = {
    "source": "tokens",
    "target": "tokens of output",
    "sentences": "sentences",
    "words": "tokens in a sentence",
    "characters": "characters in a word",
    "items": "items in a session",
    "filters": "items to filter by",
    "k": "answers",
}
"""Axis → what its limit counts."""


def write_card(manifest: Manifest, description: str) -> str:
    """The card as Markdown; the manifest's `files` may still be without the card itself."""
    sections = [
        f"# {manifest.name} {manifest.version}",
        f"{description}.",
        _facts(manifest),
        "## Scores\n\n" + _scores(manifest),
        "## Precisions\n\n" + _variants(manifest),
        "## Speed\n\n" + _speed(manifest),
        "## How to call it\n\n" + _usage(manifest),
        "## Limits\n\n" + _limits(manifest),
        f"## Data and licence\n\nTrained on {manifest.licence.data} ({manifest.licence.source}).\n\n"
        f"Terms: {manifest.licence.terms}.",
        "## Training\n\n```json\n" + json.dumps(manifest.training, indent=1, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _facts(manifest: Manifest) -> str:
    preprocessing = manifest.preprocessing
    of_target = manifest.signature.shape == "generate" and not isinstance(
        preprocessing, PromptPreprocessing | PixelPreprocessing
    )
    rows = [
        ("task", manifest.task),
        ("architecture", f"`{manifest.architecture}`, {manifest.parameters:,} parameters"),
        ("vocabulary", f"{manifest.vocabulary_size:,} {_unit(manifest)}{' of the target' if of_target else ''}"),
        ("created", manifest.created),
        ("format", f"ONNX, opset {manifest.opset}"),
    ]
    if isinstance(preprocessing, TextPreprocessing):
        languages = preprocessing.source_language, preprocessing.target_language
        if all(languages):
            rows.insert(1, ("languages", f"{languages[0]} → {languages[1]}"))
    elif isinstance(preprocessing, LabelPreprocessing | TagPreprocessing) and preprocessing.language:
        rows.insert(1, ("language", preprocessing.language))
    if isinstance(preprocessing, ImagePreprocessing):
        kept, (down, across) = _FITTED[preprocessing.fit], preprocessing.grid
        rows.insert(1, ("pictures", f"{kept} to {_square(preprocessing.size)} pixels, in {down} × {across} regions"))
    if isinstance(preprocessing, PixelPreprocessing):
        source = "" if preprocessing.source_size is None else f"{_square(preprocessing.source_size)}, drawn anew at "
        rows.insert(1, ("pictures", f"{_FITTED[preprocessing.fit]} to {source}{_square(preprocessing.size)} pixels"))
    if isinstance(preprocessing, LabelPreprocessing):
        rows.insert(1, ("labels", ", ".join(preprocessing.labels)))
    return table(("", ""), rows)


def _scores(manifest: Manifest) -> str:
    if not manifest.scores:
        return "None recorded."
    rows = [
        (score.metric, f"{score.value:.2f}", f"{score.data}, {score.split}", score.precision, score.note)
        for score in manifest.scores
    ]
    return table(("metric", "value", "data", "precision", "note"), rows)


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
    told = table(("precision", "runs on", "status", "size", "difference from PyTorch", "tolerance of the proof"), rows)
    return (
        f"{told}\n\nThe difference is the largest absolute one from PyTorch in fp32 over the golden inputs, in "
        "log-probability or an output's own unit. `python -m service verify` repeats the proof on any machine: its "
        "numbers must be within the tolerance of PyTorch's, or for int8 of those found at export. *Unproven* graphs "
        "have not been run on the hardware they are meant for."
    )


def _speed(manifest: Manifest) -> str:
    measured = [(variant.precision, variant.speed) for variant in manifest.variants if variant.speed is not None]
    if not measured:
        return "Not measured."
    waiting, processor = measured[0][1].waiting, measured[0][1].processor
    rows = [
        (precision, f"{1000 * speed.latency_seconds:,.6g} ms", f"{speed.rows_per_second:,.6g}")
        for precision, speed in measured
    ]
    told = table(("precision", "one at a time", f"a second, with {waiting} waiting"), rows)
    return f"{told}\n\nValidation examples through the engine alone, in processor time: one thread, {processor}."


def _usage(manifest: Manifest) -> str:
    call = f"```sh\ncurl -s localhost:3000/v1/{manifest.task} {_arguments(manifest)}\n```"
    if manifest.decoding is None:
        return call
    if (sampling := manifest.decoding.sampling) is not None:
        top_k = min(sampling.top_k, manifest.vocabulary_size)
        return (
            f"{call}\n\nWithout options it draws each token from the {top_k} likeliest, at a temperature of "
            f"{sampling.temperature:g}, among those that make up a share of {sampling.top_p:g}."
        )
    return (
        f"{call}\n\nWithout options it searches with a beam of {manifest.decoding.beam_size} and a length penalty of "
        f"{manifest.decoding.length_penalty:g}."
    )


def _arguments(manifest: Manifest) -> str:
    if isinstance(manifest.preprocessing, ImagePreprocessing | PixelPreprocessing):
        return f"-F model={manifest.name} -F image=@photo.jpg"
    tunes = isinstance(manifest.preprocessing, PromptPreprocessing) and manifest.preprocessing.notation == "abc"
    body = f'{{"model": "{manifest.name}", {_TUNE if tunes else _EXAMPLES[manifest.task]}}}'
    return f"-H 'content-type: application/json' \\\n  -d '{body}'"


def _limits(manifest: Manifest) -> str:
    counted = dict(_COUNTED)
    if isinstance(manifest.preprocessing, PixelPreprocessing):
        counted["target"] = "intensities, three of each pixel"
    elif _prompted(manifest):
        counted["target"] = "tokens, those of the prompt among them"
    limits = [f"{size:,} {counted[axis]}" for axis, size in manifest.limits if size is not None]
    return (
        f"At most {', '.join(limits)}. The model knows its training data and nothing else: {_CAVEATS[manifest.task]}. "
        "It has not been examined for bias."
    )


def _prompted(manifest: Manifest) -> bool:
    return any(tensor.name == START for tensor in manifest.signature.inputs)


def _square(side: int) -> str:
    return f"{side} × {side}"


def _unit(manifest: Manifest) -> str:
    if isinstance(manifest.preprocessing, PixelPreprocessing):
        return "intensities"
    return "items" if isinstance(manifest.preprocessing, ItemPreprocessing) else "tokens"


def _megabytes(manifest: Manifest, variant: Variant) -> float:
    own = [file.bytes for name, file in manifest.files.items() if name.startswith(f"{variant.precision}/")]
    return sum(own) / 1e6
