"""A process that is not root and can write into one folder alone, as in a container whose root is read-only."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path
from typing import Any

USER = 1034
_SEAL = """
set -e
mount --bind "$SEALED_BUT" "$SEALED_BUT"
while read -r _ _ _ _ place _; do
    case "$place" in
        "$SEALED_BUT" | /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) ;;
        # Some belong to the machine and stay as they are: who is sealed shows what it could write.
        *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;;
    esac
done </proc/self/mountinfo
exec unshare --map-user="$SEALED_AS" --map-group="$SEALED_AS" -- "$@"
"""


def sealed(command: list[str], writable: Path) -> tuple[list[str], dict[str, Any]]:
    """A command and options of `Popen` that start it sealed; signals go to the command itself.

    Mounts of its own make the file system read-only. Where those are forbidden, as in many a container, root starts it
    as a user who owns nothing of it.
    """
    if not _may_mount():
        return command, {"user": USER, "group": USER, "extra_groups": []} if os.getuid() == 0 else {}
    variables = [f"SEALED_BUT={writable}", f"SEALED_AS={USER}"]
    enter = ["env", *variables, "unshare", "--map-root-user", "--mount", "sh", "-c", _SEAL, "sh"]
    return [*enter, *command], {}


def can_seal() -> bool:
    """Whether what is started sealed can write no more than it should: whoever starts it may mount, or is root."""
    return _may_mount() or os.getuid() == 0


@cache
def _may_mount() -> bool:
    """Whether file systems may be mounted in a namespace of one's own."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False)  # noqa: S607
    return tried.returncode == 0


def environment_of(packages: list[str], folder: Path) -> Path:
    """An environment with these packages, as they are installed here, and nothing else: its interpreter.

    What no version installed here needs may be locked, so a package that lacks is left out.
    """
    venv.create(folder, symlinks=True)
    (target,) = folder.glob("lib/python*/site-packages")
    for package in packages:
        try:
            distribution = importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (target / name).exists():
                (target / name).symlink_to(Path(str(distribution.locate_file(name))))
    return folder / "bin" / Path(sys.executable).name
