"""Build the Bento that bentofile.yaml describes, and say how large it is.

`python -m deploy.container.build` builds it as it stands; `--device cpu` a copy that names the engine for CPU instead.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

ROOT = Path(__file__).resolve().parents[2]
BENTOFILE = ROOT / "bentofile.yaml"

Device = Literal["cpu", "gpu"]


def describe(device: Device) -> dict[str, Any]:
    """What bentofile.yaml says, for a device: for `cpu`, with that extra of pyproject.toml in place of `gpu`."""
    description: dict[str, Any] = yaml.safe_load(BENTOFILE.read_text(encoding="utf-8"))
    if device == "cpu":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        extras = project["project"]["optional-dependencies"]
        shared = [package for package in description["python"]["packages"] if package not in extras["gpu"]]
        description["python"]["packages"] = [*shared, *extras["cpu"]]
        description["name"] += "-cpu"
    return description


def build(device: Device) -> tuple[str, Path]:
    """Build the Bento into BentoML's store (`BENTOML_HOME`): its tag and its folder."""
    # Read when BentoML is imported.
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    import bentoml

    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as rendered:
        yaml.safe_dump(describe(device), rendered, sort_keys=False)
        rendered.flush()
        bento = bentoml.bentos.build_bentofile(rendered.name, build_ctx=str(ROOT))
    return str(bento.tag), Path(bento.path)


def locked_packages(bento: Path) -> list[str]:
    """The names of what the Bento's image installs, each at one version."""
    lock = (bento / "env" / "python" / "requirements.lock.txt").read_text(encoding="utf-8")
    return re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", lock, re.MULTILINE)


def folder_bytes(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def installed_bytes(packages: list[str]) -> int:
    """The size of packages as they are installed in this environment.

    Raises:
        importlib.metadata.PackageNotFoundError: one is not installed here.
    """
    files = [file for package in packages for file in importlib.metadata.files(package) or ()]
    paths = {Path(str(file.locate())) for file in files}
    return sum(path.stat().st_size for path in paths if path.is_file())


def main(device: Annotated[Device, typer.Option(help="cpu or gpu; that for gpu runs on CPU too.")] = "gpu") -> None:
    """Build the Bento, and say how large it and its environment are."""
    tag, bento = build(device)
    packages = locked_packages(bento)
    try:
        environment = f"{installed_bytes(packages) / 1e6:.0f} MB, as installed in this environment"
    except importlib.metadata.PackageNotFoundError as error:
        environment = f"not known here, where {error.name} is not installed"
    models = folder_bytes(bento / "src" / "artifacts")
    others = folder_bytes(bento) - models
    typer.echo(f"Bento        {tag}")
    typer.echo(f"folder       {bento}")
    typer.echo(
        f"size         {(models + others) / 1e6:.1f} MB: models {models / 1e6:.1f} MB, else {others / 1e6:.1f} MB"
    )
    typer.echo(f"environment  {len(packages)} packages: {environment}")
    typer.echo(f"image        bentoml containerize {tag}")


if __name__ == "__main__":
    typer.run(main)
