"""The models that are served: found under a folder, loaded, warmed up, picked by task and name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from contract.tasks import TaskName
from service.bundles import find_bundles
from service.kinds import KINDS, Kind, Model, TaskT
from service.runtime.bundle import open_bundle
from service.runtime.session import configure_threads
from service.settings import Settings

_LOG = logging.getLogger("bentoml.seqserve")


class UnknownModelError(LookupError):
    """No model of that name is served, or none for the task."""

    def __init__(self, task: str | None, name: str | None, known: Iterable[str]) -> None:
        asked = f"no model {name!r} is served" if name else "no model is served"
        for_task = f" for the task {task!r}" if task else ""
        super().__init__(f"{asked}{for_task}; there is {', '.join(known) or 'none'}")


class Catalogue:
    """Every model that is served."""

    def __init__(self, models: Iterable[Model[object]], defaults: dict[TaskName, str]) -> None:
        self._models = {model.name: model for model in models}
        self._defaults = dict(defaults)
        for task, name in defaults.items():
            self.pick(KINDS[task], name)
        for model in self._models.values():
            self._defaults.setdefault(model.bundle.manifest.task, model.name)

    def __iter__(self) -> Iterator[Model[object]]:
        return iter(self._models.values())

    def is_default(self, model: Model[object]) -> bool:
        """Whether a model serves its task's requests that name none."""
        return self._defaults[model.bundle.manifest.task] == model.name

    def get(self, name: str) -> Model[object] | None:
        """The model of a name."""
        return self._models.get(name)

    def pick(self, kind: Kind[TaskT], name: str | None) -> Model[TaskT]:
        """The model of a name, or the default of the kind's task.

        Raises:
            UnknownModelError: none is served that fits.
        """
        found = self._models.get(name or self._defaults.get(kind.task, ""))
        if found is None or found.bundle.manifest.task != kind.task:
            raise UnknownModelError(kind.task, name, self._models)
        # The manifest's task says which kind it was loaded as.
        return cast("Model[TaskT]", found)

    @property
    def alive(self) -> bool:
        """Whether every engine works."""
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
    models: list[Model[object]] = []
    with ExitStack() as loaded:
        for folder in find_bundles(settings):
            models.append(load_model(folder, settings))
            loaded.callback(models[-1].engine.close, drain=False)
        catalogue = Catalogue(models, settings.defaults)
        loaded.pop_all()
    return catalogue


def load_model(folder: Path, settings: Settings) -> Model[object]:
    """Load and warm up one bundle."""
    bundle = open_bundle(folder, precision=settings.precision, provider=settings.provider)
    manifest = bundle.manifest
    model = KINDS[manifest.task].load(bundle, settings)
    model.engine.start()
    _LOG.info("%s %s is loaded: %s on %s", manifest.name, manifest.version, bundle.variant.precision, bundle.provider)
    return model
