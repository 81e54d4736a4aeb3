"""Versions of a bundle, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.manifest import MANIFEST, BundleError
from contract.versions import install, latest_version


def test_versions_are_ordered_by_number(tmp_path: Path) -> None:
    for version in ("1.9", "1.10", "1.2", "1.10-rc"):
        (tmp_path / version).mkdir()
        (tmp_path / version / MANIFEST).touch()
    assert latest_version(tmp_path).name == "1.10"
    assert latest_version(tmp_path / "1.2").name == "1.2"


def test_a_folder_without_bundles_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"neither manifest\.json nor a version folder"):
        latest_version(tmp_path)


def test_a_version_is_never_overwritten(tmp_path: Path) -> None:
    taken, staging = tmp_path / "toy" / "1", tmp_path / "staging"
    for folder in (taken, staging):
        folder.mkdir(parents=True)
    with pytest.raises(BundleError, match="exists already"):
        install(staging, taken)
    install(staging, taken.parent / "2")
    assert (taken.parent / "2").is_dir()
    assert not staging.exists()
