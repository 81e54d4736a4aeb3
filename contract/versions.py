"""Versions of a bundle, side by side in a folder `NAME/`: which is the newest, and how another one is put in place."""

from __future__ import annotations

from pathlib import Path

from contract.manifest import MANIFEST, BundleError


def bundle_versions(folder: Path) -> list[Path]:
    """The bundle folders of `NAME/`, the newest by number first, or `folder` itself if it is a bundle.

    Raises:
        BundleError: there is none.
    """
    if (folder / MANIFEST).is_file():
        return [folder]
    versions = [path for path in folder.iterdir() if (path / MANIFEST).is_file()] if folder.is_dir() else []
    shown = [path for path in versions if not path.name.startswith(".")]
    if not shown:
        raise BundleError(folder, [f"neither {MANIFEST} nor a version folder with one"])
    return sorted(shown, key=lambda path: _version_key(path.name), reverse=True)


def latest_version(folder: Path) -> Path:
    """The bundle folder to use of `NAME/`: the first of `bundle_versions`."""
    return bundle_versions(folder)[0]


def _version_key(name: str) -> list[tuple[int, int, str]]:
    parts = name.replace("-", ".").replace("+", ".").split(".")
    # Words rank below numbers, and below nothing at all: 1.2-rc < 1.2 < 1.2.1.
    return [*((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts), (0, 1, "")]


def install(staging: Path, target: Path) -> None:
    """Put a finished bundle folder in place by one rename, so that no reader ever sees half of it.

    Raises:
        BundleError: the version exists already; versions are never overwritten.
    """
    if target.exists():
        raise BundleError(target, ["this version exists already; export under a new version"])
    target.parent.mkdir(parents=True, exist_ok=True)
    staging.rename(target)
