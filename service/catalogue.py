"""The models that are served: found under a folder, loaded, warmed up, picked by task and name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from contract.manifest import BundleError, Manifest
from contract.tasks import TaskName
from service.bundles import RefusedBundle, all_faults, find_bundles, first_sound, namesake_fault
from service.kinds import KINDS, Kind, Model, TaskT
from service.metrics import BUNDLE_REFUSED
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
    """Every model that is served, and the bundles that are refused. It never changes: another one takes its place.

    Raises:
        UnknownModelError: the default model of a task is neither served nor refused.
    """

    def __init__(
        self,
        models: Iterable[Model[object]],
        defaults: dict[TaskName, str],
        refused: Iterable[RefusedBundle] = (),
    ) -> None:
        self._models = {model.name: model for model in models}
        self.refused = tuple(refused)
        self._defaults = dict(defaults)
        broken = {bundle.name for bundle in self.refused}
        for task, name in defaults.items():
            if name in self._models or name not in broken:
                self.pick(KINDS[task], name)
        self._by_task: dict[str, list[Model[object]]] = {}
        for model in self._models.values():
            self._defaults.setdefault(model.bundle.manifest.task, model.name)
            self._by_task.setdefault(model.bundle.manifest.task, []).append(model)

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

    def full(self, task: str) -> bool:
        """Whether a task has models, none of which has room for another row."""
        models = self._by_task.get(task)
        return models is not None and not any(model.engine.room for model in models)

    @property
    def alive(self) -> bool:
        """Whether every engine works."""
        return all(model.engine.alive for model in self)

    def close(self, *, drain: bool) -> None:
        """Stop every engine."""
        for model in self:
            model.close(drain=drain)


class LoadError(BundleError):
    """A bundle that is what was exported, and cannot be loaded here: for want of memory, say, which may pass."""


class AbandonedError(Exception):
    """Nobody wants the models any more: the service is to end."""


def load_catalogue(settings: Settings, abandoned: Callable[[], bool] = lambda: False) -> Catalogue:
    """Load and warm up what the settings' folder holds; what is broken is refused. Blocking.

    `abandoned` is asked before each model, whose loading is not broken off.

    Raises:
        BundleError: there is nothing to serve, or, where the settings are strict, nothing of one of the names.
        UnknownModelError: the settings' default model of a task is not there.
        AbandonedError: `abandoned` said so.
    """
    configure_threads(settings.compute_threads)
    found = find_bundles(settings)
    refused = list(found.refused)
    lost = list(found.refused)
    models: list[Model[object]] = []

    def misfit(manifest: Manifest) -> str | None:
        return namesake_fault(manifest, (model.name for model in models))

    with ExitStack() as loaded:
        for name, folders in found.versions.items():
            if abandoned():
                raise AbandonedError
            model, faulty = first_sound(name, folders, lambda folder: load_model(folder, settings, misfit))
            refused += faulty
            if model is None:
                lost += faulty
            else:
                models.append(model)
                loaded.callback(model.close, drain=False)
        if not models or (settings.strict and lost):
            raise all_faults(settings.bundles, lost)
        catalogue = Catalogue(models, settings.defaults, refused)
        loaded.pop_all()
    tell_refused((), refused)
    return catalogue


def tell_refused(before: Collection[RefusedBundle], now: Collection[RefusedBundle]) -> None:
    """Tell log and metrics which bundles are refused now, and which no longer."""
    for bundle in before:
        BUNDLE_REFUSED.labels(bundle.name, bundle.version).set(0)
    for bundle in now:
        BUNDLE_REFUSED.labels(bundle.name, bundle.version).set(1)
        if bundle not in before:
            _LOG.error("%s is refused:%s", bundle, "".join(f"\n  - {fault}" for fault in bundle.faults))


def load_model(
    folder: Path, settings: Settings, misfit: Callable[[Manifest], str | None] = lambda _: None
) -> Model[object]:
    """Load and warm up one bundle, unless `misfit` tells why it cannot take its place, however sound it is.

    Raises:
        BundleError: it is not sound, or a misfit.
        LoadError: it cannot run here, or not now.
    """
    bundle = open_bundle(folder, precision=settings.precision, provider=settings.provider)
    manifest = bundle.manifest
    if (fault := misfit(manifest)) is not None:
        raise BundleError(folder, [fault])
    try:
        model = KINDS[manifest.task].load(bundle, settings)
        try:
            model.start()
        except BaseException:
            model.close(drain=False)
            raise
    except Exception as error:
        # Hashes that fit say that it is what was exported, not that this engine on this machine can run it.
        raise LoadError(folder, [f"it cannot be loaded: {error}"]) from error
    _LOG.info("%s %s is loaded: %s on %s", manifest.name, manifest.version, bundle.variant.precision, bundle.provider)
    return model
