"""Prove a Bento's image where no container engine is: its steps in a bare Debian, and a service from it.

`python -m deploy.container.prove BENTO` needs root, `debootstrap`, a Debian mirror and a package index. Who has Docker
needs none of it: `bentoml containerize` takes the same steps.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from deploy.container.build import folder_bytes
from deploy.container.dockerfile import Image, read_dockerfile
from deploy.container.rootfs import RootFileSystem

_RELEASE = "bookworm"
_PACKAGES = "ca-certificates,python-is-python3,python3,python3-pip,python3-venv"
"""What makes of a bare Debian what the base image is: Python 3.11 and pip."""
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_TRIED = ("/", "/app/.venv", "/home/bentoml", "/home/bentoml/bento/src")
_TIMEOUT = 180


def main(
    bento: Annotated[Path, typer.Argument(help="The Bento's folder, as `make bento` names it.", exists=True)],
    bundles: Annotated[Path | None, typer.Option(help="Served as well, mounted in place of the Bento's own.")] = None,
    port: Annotated[int, typer.Option(help="A free port.")] = 3000,
) -> None:
    """Take the steps of the Bento's Dockerfile in a bare Debian, serve from it, and say what was seen."""
    image = read_dockerfile((bento / "env" / "docker" / "Dockerfile").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="seqserve-image-") as folder:
        root = Path(folder)
        # Whoever is not root must be able to enter it.
        root.chmod(0o755)
        _bootstrap(root)
        _report("bare Debian with Python", folder_bytes(root))
        system = RootFileSystem(root, image)
        for step in image.steps:
            system.take(step, bento)
        _report("environment", folder_bytes(root / "app"))
        _report("Bento", folder_bytes(root / "home" / "bentoml"))
        for mounted in [None, bundles.resolve()] if bundles else [None]:
            typer.echo(f"\nServing {mounted or 'the models of the Bento'}")
            _serve(system, image, mounted, port)


def _bootstrap(root: Path) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _RELEASE, str(root)]
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603
    # As an engine does, with the network of this machine: its names, and the certificates that it trusts.
    for file in ("etc/hosts", "etc/resolv.conf", _CERTIFICATES):
        shutil.copy(Path("/") / file, root / file)
    # The base image's pip installs into the system without being asked twice.
    (root / "etc" / "pip.conf").write_text("[global]\nbreak-system-packages = true\n", encoding="utf-8")


def _serve(system: RootFileSystem, image: Image, bundles: Path | None, port: int) -> None:
    """Start the image's command, look at it as a client and as an orchestrator would, and stop it."""
    variables = {"SEQSERVE_PORT": str(port)} | ({"SEQSERVE_BUNDLES": "/mnt"} if bundles else {})
    server = system.start(image.command, variables, bundles)
    try:
        end = time.monotonic() + _TIMEOUT
        while not _ready(port):
            if server.poll() is not None or time.monotonic() > end:
                sys.exit("the service did not get ready: see above")
            time.sleep(0.2)
        first = int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii"))
        status = Path(f"/proc/{first}/status").read_text(encoding="ascii")
        typer.echo(f"user {status.partition('Uid:')[2].split()[0]}")
        for place in _TRIED:
            written = system.start(["touch", f"{place}/written"], {}).wait() == 0
            typer.echo(f"{place} can {'' if written else 'not '}be written")
        healthy = system.start(image.health, variables).wait() == 0
        typer.echo(f"health check: {'healthy' if healthy else 'NOT healthy'}")
        for model in json.loads(_get(port, "/v1/models"))["models"]:
            typer.echo(f"serves {model['name']} {model['version']} ({model['task']}, {model['precision']})")
        os.kill(first, signal.SIGTERM)
        typer.echo(f"exit code after SIGTERM: {server.wait(_TIMEOUT)}")
    finally:
        server.kill()


def _ready(port: int) -> bool:
    try:
        _get(port, "/readyz")
    except urllib.error.URLError:
        return False
    return True


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=_TIMEOUT) as reply:
        return str(reply.read().decode())


def _report(what: str, size: int) -> None:
    typer.echo(f"{what}: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    typer.run(main)
