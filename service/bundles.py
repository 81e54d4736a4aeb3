"""Which bundle folders a service loads."""

from __future__ import annotations

from pathlib import Path

from contract.manifest import BundleError
from contract.versions import latest_version
from service.settings import Settings


def find_bundles(settings: Settings) -> list[Path]:
    """The version folder to load of every `NAME/` in the bundles folder: the pinned one, else the newest.

    Raises:
        BundleError: the folder is missing or holds no bundle, or a pinned version is not there; all faults are listed.
    """
    folder = settings.bundles
    if not folder.is_dir():
        raise BundleError(folder, ["no such folder; name another one with --bundles or SEQSERVE_BUNDLES"])
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise BundleError(folder, ["no bundle in it, a bundle is a folder NAME/VERSION/"])
    missing = sorted(settings.versions.keys() - set(names))
    faults = [f"a version of {name!r} is pinned, but there is no such bundle" for name in missing]
    found = []
    for name in names:
        try:
            found.append(_choose(folder / name, settings.versions.get(name)))
        except BundleError as error:
            faults += [f"{name}: {fault}" for fault in error.faults]
    if faults:
        raise BundleError(folder, faults)
    return found


def _choose(folder: Path, pinned: str | None) -> Path:
    if pinned is None:
        return latest_version(folder)
    if not (folder / pinned).is_dir():
        held = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir()))
        raise BundleError(folder, [f"the pinned version {pinned} is not there; versions: {held or 'none'}"])
    return folder / pinned
