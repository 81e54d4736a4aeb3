"""Bundles made from others: new versions, broken ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from contract.manifest import MANIFEST, MANIFEST_HASH, hash_file
from contract.versions import install


def reseal(folder: Path, **fields: str) -> None:
    """Write a bundle's manifest anew: hashes that fit its files, and other values of some fields."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["files"] = {name: hash_file(folder / name).model_dump() for name in manifest["files"]}
    (folder / MANIFEST).write_text(json.dumps({**manifest, **fields}))
    (folder / MANIFEST_HASH).write_text(hash_file(folder / MANIFEST).sha256 + "\n")


def put_version(source: Path, target: Path, *, broken: bool = False) -> None:
    """Put a copy of a bundle in place as `target`, `NAME/VERSION/`, by a rename, as an export does."""
    staging = target.parent.parent / ".staging"
    shutil.copytree(source, staging)
    reseal(staging, name=target.parent.name, version=target.name)
    if broken:
        spoil(max(staging.glob("int8/*.onnx")))
    install(staging, target)


def spoil(file: Path) -> None:
    """Change one byte of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
