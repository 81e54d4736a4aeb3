"""The models that are served: found under a folder, loaded, warmed up, picked by task and name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from contract.tasks import TaskName
from service.bundles import find_bundles
from service.metrics import EngineMetrics
from service.runtime.bundle import Bundle, open_bundle
from service.runtime.decoding import DecodingEngine, EngineSettings
from service.runtime.session import configure_threads
from service.settings import Settings
from service.tasks.translate import TextLimits, Translator

_LOG = logging.getLogger("bentoml.seqserve")


class UnknownModelError(LookupError):
    """No model of that name is served, or none for the task."""

    def __init__(self, task: str | None, name: str | None, known: Iterable[str]) -> None:
        asked = f"no model {name!r} is served" if name else "no model is served"
        for_task = f" for the task {task!r}" if task else ""
        super().__init__(f"{asked}{for_task}; there is {', '.join(known) or 'none'}")


@dataclass(frozen=True)
class Model:
    """A loaded bundle: its engine, what stands around it, and where its figures go."""

    bundle: Bundle
    engine: DecodingEngine
    translator: Translator
    metrics: EngineMetrics

    @property
    def name(self) -> str:
        """Name of the bundle, by which requests pick it."""
        return self.bundle.manifest.name


class Catalogue:
    """Every model that is served."""

    def __init__(self, models: Iterable[Model], defaults: dict[TaskName, str]) -> None:
        self._models = {model.name: model for model in models}
        self._defaults = dict(defaults)
        for task, name in defaults.items():
            self.pick(task, name)
        for model in self._models.values():
            self._defaults.setdefault(model.bundle.manifest.task, model.name)

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def is_default(self, model: Model) -> bool:
        """Whether a model serves its task's requests that name none."""
        return self._defaults[model.bundle.manifest.task] == model.name

    def get(self, name: str) -> Model | None:
        """The model of a name."""
        return self._models.get(name)

    def pick(self, task: TaskName, name: str | None) -> Model:
        """The model of a name, or the task's default.

        Raises:
            UnknownModelError: none is served that fits.
        """
        found = self._models.get(name or self._defaults.get(task, ""))
        if found is None or found.bundle.manifest.task != task:
            raise UnknownModelError(task, name, self._models)
        return found

    @property
    def alive(self) -> bool:
        """Whether every engine's loop runs."""
        return all(model.engine.alive for model in self)

    def close(self, *, drain: bool) -> None:
        """Stop every engine."""
        for model in self:
            model.engine.close(drain=drain)


def load_catalogue(settings: Settings) -> Catalogue:
    """Load and warm up every bundle of the settings' folder. Blocking.

    Raises:
        BundleError: a bundle is missing or broken.
        UnknownModelError: the settings' default model of a task is not there.
    """
    configure_threads(settings.compute_threads)
    models: list[Model] = []
    with ExitStack() as loaded:
        for folder in find_bundles(settings):
            models.append(load_model(folder, settings))
            loaded.callback(models[-1].engine.close, drain=False)
        catalogue = Catalogue(models, settings.defaults)
        loaded.pop_all()
    return catalogue


def load_model(folder: Path, settings: Settings) -> Model:
    """Load and warm up one bundle."""
    bundle = open_bundle(folder, precision=settings.precision, provider=settings.provider)
    manifest = bundle.manifest
    metrics = EngineMetrics(manifest, bundle.variant.precision, bundle.provider)
    bounds = EngineSettings(max_queue=settings.max_queue)
    if settings.slots is not None:
        bounds = replace(bounds, slots=settings.slots)
    engine = DecodingEngine(bundle, bounds, metrics)
    engine.start()
    limits = TextLimits(settings.max_characters, settings.max_explain_tokens, settings.max_beam_size)
    _LOG.info(
        "%s %s is loaded: %s on %s, %d slots",
        manifest.name, manifest.version, bundle.variant.precision, bundle.provider, engine.slots,
    )  # fmt: skip
    return Model(bundle, engine, Translator(bundle, limits), metrics)
