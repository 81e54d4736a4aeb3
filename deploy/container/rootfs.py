"""A folder that is entered as a container is: with processes and mounts of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.container.dockerfile import Image, Step

_OF_THE_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "SSL_CERT_FILE", "UV_DEFAULT_INDEX")
_ENTER = """
set -e
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
if [ -n "$bundles" ]; then mount --bind "$bundles" "$root/mnt"; fi
if [ -n "$sealed" ]; then
    mount -o remount,bind,ro "$root"
    mount -t tmpfs tmpfs "$root/tmp"
fi
exec chroot --userspec="$user" "$root" "$@"
"""
"""Run as the first process of its namespace, as a container's is."""


class RootFileSystem:
    """A folder with an operating system in it, in which an image's steps are taken and its command is started."""

    def __init__(self, root: Path, image: Image) -> None:
        self._root = root
        self._image = image

    def take(self, step: Step, context: Path) -> None:
        """Take one step of the Dockerfile as root; what it copies lies in `context`.

        Raises:
            subprocess.CalledProcessError: it failed, and has said why on the console.
        """
        if step.instruction == "WORKDIR":
            self._inside(step.folder).mkdir(parents=True, exist_ok=True)
        elif step.instruction == "COPY":
            owner, source, target = shlex.split(step.argument)
            shutil.copytree(context / source, self._inside(step.folder) / target, dirs_exist_ok=True)
            self._run(["chown", "-R", owner.removeprefix("--chown="), f"{step.folder}/{target}"], step.variables)
        else:
            network = {name: os.environ[name] for name in _OF_THE_NETWORK if name in os.environ}
            self._run(["sh", "-c", f"cd {step.folder} && {step.argument}"], step.variables | network)

    def start(
        self, command: list[str], variables: dict[str, str], bundles: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command as the image's user; nothing but /tmp can be written, and `bundles` lie in /mnt."""
        script = f"cd {self._image.folder} && exec {shlex.join(command)}"
        inside = {"user": self._image.user, "bundles": str(bundles or ""), "sealed": "yes"}
        return self._enter(["sh", "-c", script], self._image.variables | variables, inside)

    def _inside(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _run(self, command: list[str], variables: dict[str, str]) -> None:
        process = self._enter(command, variables, {"user": "0:0", "bundles": "", "sealed": ""})
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)

    def _enter(self, command: list[str], variables: dict[str, str], inside: dict[str, str]) -> subprocess.Popen[bytes]:
        # Set within, so that they mean nothing to the commands that enter.
        within = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), *command]
        return subprocess.Popen(  # noqa: S603
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, "sh", *within],  # noqa: S607
            env={"PATH": os.environ["PATH"], "root": str(self._root), **inside},
            stdout=sys.stderr,
        )
