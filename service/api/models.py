"""Routes that say what is served."""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field

from contract.manifest import DecodingDefaults, Licence, Limits, Manifest, Precision, Score, Speed
from contract.preprocessing import Fit, ImagePreprocessing, Notation, PixelPreprocessing
from contract.tasks import TaskName
from service.api.life import Life
from service.catalogue import Catalogue, UnknownModelError
from service.kinds import Model, SlotEngine
from service.tasks.answer import Answerer
from service.tasks.classify import Classifier
from service.tasks.tag import Tagger


class ImageReply(BaseModel):
    """How a model looks at a picture: fitted to a square of `size` pixels a side, in `grid` (rows, columns) regions."""

    size: int = Field(examples=[224])
    fit: Fit = Field(description="squeeze: the whole picture, whatever its proportions; crop: the middle of it")
    grid: list[int] = Field(min_length=2, max_length=2, examples=[[7, 7]])


class DrawingReply(BaseModel):
    """How a model draws: squares of `size` pixels a side, from pictures fitted to such a square or a smaller one."""

    size: int = Field(examples=[32])
    fit: Fit = Field(description="squeeze: the whole picture, whatever its proportions; crop: the middle of it")
    source_size: int | None = Field(None, description="of a model that draws from fewer pixels: so many a side")


class ModelSummary(BaseModel):
    """A model that is served, and how."""

    name: str = Field(examples=["translation-en-de"])
    version: str = Field(examples=["1.0.0"])
    task: TaskName
    default: bool = Field(description="whether it serves its task's requests that name no model")
    source_language: str | None = Field(None, examples=["en"])
    target_language: str | None = Field(None, examples=["de"])
    language: str | None = Field(None, description="of a model that reads text and writes none", examples=["en"])
    provider: Literal["cpu", "cuda"] = Field(description="where it runs")
    precision: Precision = Field(description="the precision it runs in")
    image: ImageReply | None = Field(None, description="of a model that looks at pictures: how it does")
    drawing: DrawingReply | None = Field(None, description="of a model that draws pictures: how it does")
    notation: Notation | None = Field(None, description="of a model that goes on from prompts: what it writes")
    explains: bool = Field(description="whether it has attention to explain with")
    limits: Limits = Field(description="largest size of each axis that the model has")
    scores: list[Score] = Field(description="how good it is, on which data")
    licence: Licence = Field(description="where its training data came from, and under which terms")


class VariantReply(BaseModel):
    """A precision that the bundle holds."""

    precision: Precision
    provider: Literal["cpu", "cuda", "any"]
    status: Literal["verified", "unproven"]
    tolerance: float
    max_error: float | None
    metrics: dict[str, float] = Field(description="how good it is on the same validation data")
    speed: Speed | None = Field(None, description="what it took where it was exported")


class ModelDetails(ModelSummary):
    """All that a caller can know about a model."""

    architecture: str
    parameters: int
    created: str
    vocabulary_size: int
    labels: list[str] | None = Field(None, description="what a classifier chooses from, or a tagger finds")
    answers: list[str] | None = Field(None, description="what a model that answers questions chooses from")
    slots: int | None = Field(None, description="rows decoded at once; no beam is wider")
    decoding: DecodingDefaults | None = None
    variants: list[VariantReply]


class RefusedReply(BaseModel):
    """A bundle that is not served for its faults; an older version of it may be."""

    name: str = Field(examples=["translation-en-de"])
    version: str = Field(description="empty where none could be chosen", examples=["2"])
    faults: list[str] = Field(description="all that is wrong with it", examples=[["int8/step.onnx is missing"]])


class ModelsReply(BaseModel):
    """Every model that is served."""

    models: list[ModelSummary]
    refused: list[RefusedReply] = Field(description="bundles of the folder that are not served for their faults")


def add_model_routes(app: FastAPI, life: Life) -> None:
    """`GET /v1/models` and `GET /v1/models/{name}`."""

    @app.get("/v1/models", tags=["models"], response_model_exclude_none=True)
    async def models() -> ModelsReply:
        """List the models that are served."""
        catalogue = life.catalogue
        return ModelsReply(
            models=[_summary(model, catalogue) for model in catalogue],
            refused=[
                RefusedReply(name=bundle.name, version=bundle.version, faults=list(bundle.faults))
                for bundle in catalogue.refused
            ],
        )

    @app.get("/v1/models/{name}", tags=["models"], response_model_exclude_none=True)
    async def model(name: str) -> ModelDetails:
        """Describe one model."""
        catalogue = life.catalogue
        found = catalogue.get(name)
        if found is None:
            raise UnknownModelError(None, name, [model.name for model in catalogue])
        return _details(found, catalogue)


def _summary(model: Model[object], catalogue: Catalogue) -> ModelSummary:
    manifest = model.bundle.manifest
    return ModelSummary(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        default=catalogue.is_default(model),
        **_languages(manifest),
        image=_image(manifest),
        drawing=_drawing(manifest),
        notation=getattr(manifest.preprocessing, "notation", None),
        provider=model.bundle.provider,
        precision=model.bundle.variant.precision,
        explains=manifest.signature.explains,
        limits=manifest.limits,
        scores=list(manifest.scores),
        licence=manifest.licence,
    )


def _details(model: Model[object], catalogue: Catalogue) -> ModelDetails:
    manifest = model.bundle.manifest
    return ModelDetails(
        **_summary(model, catalogue).model_dump(),
        architecture=manifest.architecture,
        parameters=manifest.parameters,
        created=manifest.created,
        vocabulary_size=manifest.vocabulary_size,
        labels=list(model.task.labels) if isinstance(model.task, Classifier | Tagger) else None,
        answers=list(model.task.answers) if isinstance(model.task, Answerer) else None,
        slots=model.engine.slots if isinstance(model.engine, SlotEngine) else None,
        decoding=manifest.decoding,
        variants=_variants(manifest),
    )


def _languages(manifest: Manifest) -> dict[str, str | None]:
    languages = ("source_language", "target_language", "language")
    return {name: getattr(manifest.preprocessing, name, None) for name in languages}


def _image(manifest: Manifest) -> ImageReply | None:
    preprocessing = manifest.preprocessing
    if not isinstance(preprocessing, ImagePreprocessing):
        return None
    return ImageReply(size=preprocessing.size, fit=preprocessing.fit, grid=list(preprocessing.grid))


def _drawing(manifest: Manifest) -> DrawingReply | None:
    drawing = manifest.preprocessing
    if not isinstance(drawing, PixelPreprocessing):
        return None
    return DrawingReply(size=drawing.size, fit=drawing.fit, source_size=drawing.source_size)


def _variants(manifest: Manifest) -> list[VariantReply]:
    return [
        VariantReply(
            precision=variant.precision,
            provider=variant.provider,
            status=variant.status,
            tolerance=variant.tolerance,
            max_error=variant.max_error,
            metrics=variant.metrics,
            speed=variant.speed,
        )
        for variant in manifest.variants
    ]
