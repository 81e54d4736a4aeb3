"""Which bundle folders a service loads, and which it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from contract.manifest import BundleError, Manifest, load_manifest
from contract.versions import bundle_versions
from service.settings import Settings

PIN = "PINNED"
"""The file `NAME/PINNED` holds the version to serve. It may be written while the service runs."""
_NOT_OURS = "lost+found"
"""What a file system has in the root of a volume."""

BundleT = TypeVar("BundleT")


@dataclass(frozen=True)
class RefusedBundle:
    """A bundle that is not served, and all that is wrong with it.

    `name` is that of its folder; `version` is empty where none could be chosen.
    """

    folder: Path
    name: str
    version: str
    faults: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


@dataclass(frozen=True)
class Found:
    """What a bundles folder holds: by name the version folders, the one to serve first, then what may stand in for it.

    `refused` are the names that have none.
    """

    versions: dict[str, list[Path]]
    refused: tuple[RefusedBundle, ...]


def find_bundles(settings: Settings) -> Found:
    """What may be served of every `NAME/` in the bundles folder: a pinned version alone, else all, the newest first.

    Raises:
        BundleError: the folder is missing or holds no bundle, or a version that the settings pin is not there; all
            faults are listed.
    """
    folder = settings.bundles
    if not folder.is_dir():
        raise BundleError(folder, ["no such folder; name another one with --bundles or SEQSERVE_BUNDLES"])
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and _is_ours(path.name))
    if not names:
        raise BundleError(folder, ["no bundle in it, a bundle is a folder NAME/VERSION/"])
    missing = sorted(settings.versions.keys() - set(names))
    faults = [f"a version of {name!r} is pinned, but there is no such bundle" for name in missing]
    versions: dict[str, list[Path]] = {}
    refused: list[RefusedBundle] = []
    for name in names:
        try:
            versions[name] = _choose(folder / name, settings.versions.get(name))
        except (BundleError, OSError) as error:
            refused.append(RefusedBundle(folder / name, name, "", _faults(error)))
            if name in settings.versions:
                faults += [f"{name}: {fault}" for fault in refused[-1].faults]
    if faults:
        raise BundleError(folder, faults)
    return Found(versions, tuple(refused))


def check_bundles(settings: Settings) -> tuple[list[Manifest], list[RefusedBundle]]:
    """The manifests of what would be served, each checked against every file of its bundle, and what would be refused.

    Raises:
        BundleError: as for `find_bundles`.
    """
    found = find_bundles(settings)
    refused = list(found.refused)
    manifests: list[Manifest] = []

    def load(folder: Path) -> Manifest:
        manifest = load_manifest(folder)
        if (fault := namesake_fault(manifest, (other.name for other in manifests))) is not None:
            raise BundleError(folder, [fault])
        return manifest

    for name, folders in found.versions.items():
        manifest, faulty = first_sound(name, folders, load)
        refused += faulty
        if manifest is not None:
            manifests.append(manifest)
    return manifests, refused


def first_sound(
    name: str, folders: Iterable[Path], open_bundle: Callable[[Path], BundleT]
) -> tuple[BundleT | None, list[RefusedBundle]]:
    """What `open_bundle` makes of the first folder that it does not refuse, and the refused ones before it."""
    refused: list[RefusedBundle] = []
    for folder in folders:
        try:
            return open_bundle(folder), refused
        except (BundleError, OSError) as error:
            refused.append(RefusedBundle(folder, name, folder.name, _faults(error)))
    return None, refused


def namesake_fault(manifest: Manifest, others: Iterable[str]) -> str | None:
    """What is wrong with a bundle beside others of these names: requests pick by name, and one would hide another."""
    if manifest.name in others:
        return f"it is named {manifest.name!r}, as the bundle of another folder is: export it under another name"
    return None


def all_faults(folder: Path, refused: Iterable[RefusedBundle]) -> BundleError:
    """Every fault of refused bundles in one message."""
    return BundleError(folder, [f"{bundle}: {fault}" for bundle in refused for fault in bundle.faults])


def _faults(error: Exception) -> tuple[str, ...]:
    return tuple(error.faults) if isinstance(error, BundleError) else (str(error),)


def _is_ours(name: str) -> bool:
    return not name.startswith(".") and name != _NOT_OURS


def _choose(folder: Path, pinned: str | None) -> list[Path]:
    held = bundle_versions(folder)
    where = "the settings"
    if pinned is None:
        try:
            pinned = (folder / PIN).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return held
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(folder, [f"{PIN} cannot be read: {error}"]) from error
        where = PIN
    chosen = [path for path in held if path.name == pinned]
    if not chosen:
        there = ", ".join(path.name for path in held)
        raise BundleError(folder, [f"version {pinned!r}, pinned by {where}, is not there; versions: {there}"])
    return chosen
