"""Where Prometheus comes from: the PATH, or else Debian's package; where neither has it, that is told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.manifests import DEPLOY

FETCH = DEPLOY / "prometheus" / "fetch.sh"


def fetch(folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Fetch into `folder/into`, with nothing on the PATH but these, each with its script, and what the shell needs."""
    path = folder / "path"
    path.mkdir()
    for name in ("bash", "ln", "mkdir"):
        found = shutil.which(name)
        assert found
        (path / name).symlink_to(found)
    for name, script in programs.items():
        (path / name.replace("_", "-")).write_text(f"#!{path / 'bash'}\n{script}\n", encoding="utf-8")
        (path / name.replace("_", "-")).chmod(0o755)
    return subprocess.run(
        [path / "bash", FETCH, folder / "into"], env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )


def test_programs_of_the_path_are_taken(tmp_path: Path) -> None:
    result = fetch(tmp_path, prometheus="exit 0", promtool="exit 0", apt_get="exit 1")
    assert result.returncode == 0, result.stderr
    for name in ("prometheus", "promtool"):
        assert (tmp_path / "into" / name).readlink() == tmp_path / "path" / name


@pytest.mark.parametrize("programs", [{}, {"apt_get": "exit 100"}], ids=["no apt-get", "not allowed to"])
def test_where_they_cannot_be_had_it_says_what_to_do(tmp_path: Path, programs: dict[str, str]) -> None:
    result = fetch(tmp_path, **programs)
    assert result.returncode == 1
    assert result.stderr.startswith("The tests of deploy/ need prometheus and promtool")
    assert "on the PATH" in result.stderr
