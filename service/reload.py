"""Keeps what is served in step with the bundles folder: versions that come, go or are pinned while requests are served.

Every worker looks by itself. A new version is checked, loaded and warmed up beside the one that serves, which is closed
when the requests that came before the switch have their replies. What is broken changes nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from contract.manifest import BundleError, Manifest
from service.api.life import Life
from service.bundles import RefusedBundle, find_bundles, first_sound, namesake_fault
from service.catalogue import Catalogue, LoadError, UnknownModelError, load_model, tell_refused
from service.heap import give_back, settle_heap
from service.kinds import Model
from service.settings import Settings

_LOG = logging.getLogger("bentoml.seqserve")

ValueT = TypeVar("ValueT")
_Models = dict[str, Model[object]]
_Refused = dict[str, list[RefusedBundle]]
_Print = tuple[tuple[str, int, int], ...]
_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 60.0, 3600.0
"""Until a sound version that could not be loaded is tried again, twice as long each time; what is not sound is tried
when its files have changed."""


@dataclass(frozen=True)
class _Failed:
    """A version that was refused: its files then, why, and how long and until when it is not tried again."""

    files: _Print
    faults: tuple[str, ...]
    wait: float
    until: float


class _UnfinishedError(Exception):
    """A folder that changed since the last look may still be written."""


class Reloader:
    """Changes what a service serves whose models are loaded. Names are those of the folders."""

    def __init__(self, life: Life, settings: Settings) -> None:
        self._life = life
        self._settings = settings
        self._models: _Models = {self._name(model.bundle.folder): model for model in life.catalogue}
        self._refused: _Refused = {}
        self._seen: dict[Path, _Print] = {}
        self._failed: dict[Path, _Failed] = {}
        # What was refused at the start is tried once more: it may have been mended since, while others were loaded.
        for bundle in life.catalogue.refused:
            self._refused.setdefault(bundle.name, []).append(bundle)
        self._told = ""

    async def run(self) -> None:
        """Look again and again, for as long as the service is ready."""
        while self._life.ready:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  # whatever it is, what is served stays: the next look may do better
                # Said once, not at every look.
                if str(error) != self._told:
                    foreseen = isinstance(error, BundleError | UnknownModelError | OSError)
                    _LOG.error("what is served stays as it is: %s", error, exc_info=not foreseen)
                self._told = str(error)
            else:
                self._told = ""
            await asyncio.sleep(self._settings.reload_seconds)

    async def look(self) -> None:
        """Compare what is served with the folder, and change what differs, one model at a time.

        Raises:
            BundleError: the folder is not there, or holds nothing, or not what the settings pin.
            UnknownModelError: the settings' default model of a task would be gone.
        """
        found = await asyncio.to_thread(find_bundles, self._settings)
        pinned_wrong = {bundle.name: [bundle] for bundle in found.refused}
        gone = (self._models.keys() | self._refused.keys()) - found.versions.keys() - pinned_wrong.keys()
        await self._serve(_without(self._models, gone), {**_without(self._refused, gone), **pinned_wrong})
        for name, folders in found.versions.items():
            try:
                model, refused = await asyncio.to_thread(self._choose, name, folders)
            except _UnfinishedError:
                continue
            # Where every version is broken, the one that serves is in memory still.
            models = self._models if model is None else {**self._models, name: model}
            await self._serve(models, {**self._refused, name: refused})

    def _choose(self, name: str, folders: list[Path]) -> tuple[Model[object] | None, list[RefusedBundle]]:
        """The model to serve, which may be the one that is served, and the versions refused before it.

        Raises:
            _UnfinishedError: the next look will tell.
        """
        return first_sound(name, folders, lambda folder: self._open(folder, self._models.get(name)))

    def _open(self, folder: Path, current: Model[object] | None) -> Model[object]:
        if current is not None and current.bundle.folder == folder:
            return current
        now = _fingerprint(folder)
        failed = self._failed.get(folder)
        if failed is not None and failed.files != now:
            failed = None
        if failed is not None and time.monotonic() < failed.until:
            raise BundleError(folder, list(failed.faults))
        before, self._seen[folder] = self._seen.get(folder), now
        if before != now:
            raise _UnfinishedError
        try:
            return load_model(folder, self._settings, lambda manifest: self._misfit(manifest, current))
        except BundleError as error:
            wait = math.inf
            if isinstance(error, LoadError):
                wait = min(2 * failed.wait, _LONGEST_RETRY_SECONDS) if failed is not None else _RETRY_SECONDS
                give_back()
            self._failed[folder] = _Failed(now, tuple(error.faults), wait, time.monotonic() + wait)
            raise

    def _misfit(self, manifest: Manifest, current: Model[object] | None) -> str | None:
        """Why a sound bundle cannot take its place."""
        if current is not None and manifest.name != current.name:
            return f"it is named {manifest.name!r}, and would replace {current.name!r}"
        for task, name in self._settings.defaults.items():
            if name == manifest.name and task != manifest.task:
                return f"it is for the task {manifest.task!r}, and {name!r} is the default of {task!r}"
        return namesake_fault(manifest, (other.name for other in self._models.values() if other is not current))

    async def _serve(self, models: _Models, refused: _Refused) -> None:
        """Switch to these models, if they are others, and close those that are no longer served."""
        refused = {name: bundles for name, bundles in refused.items() if bundles}
        if models == self._models and refused == self._refused:
            return
        served = [models[name] for name in sorted(models)]
        catalogue = Catalogue(served, self._settings.defaults, itertools.chain(*refused.values()))
        tell_refused(self._life.catalogue.refused, catalogue.refused)
        leaving = [model for name, model in self._models.items() if models.get(name) is not model]
        self._models, self._refused = models, refused
        await self._life.switch(catalogue)
        if leaving:
            await _close(leaving)
            await asyncio.to_thread(give_back)
            settle_heap()

    def _name(self, folder: Path) -> str:
        return folder.relative_to(self._settings.bundles).parts[0]


async def _close(leaving: list[Model[object]]) -> None:
    """Close models, and keep nothing of them."""
    while leaving:
        model = leaving.pop()
        await asyncio.to_thread(model.close, drain=True)
        _LOG.info("%s %s is no longer served", model.name, model.version)


def _without(given: Mapping[str, ValueT], names: Collection[str]) -> dict[str, ValueT]:
    return {name: value for name, value in given.items() if name not in names}


def _fingerprint(folder: Path) -> _Print:
    """What changes when files of a folder do; nothing where it cannot be read, which loading it will tell."""
    try:
        stats = [(path, path.stat()) for path in sorted(folder.rglob("*"))]
    except OSError:
        return ()
    return tuple((path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns) for path, stat in stats)
