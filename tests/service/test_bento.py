"""The Bento as it is built, served as its image serves it: nothing of the checkout, not as root, writing nowhere."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.container.build import locked_packages
from deploy.container.dockerfile import Image, read_dockerfile
from tests.contract.pictures import draw, save
from tests.service import replies
from tests.service.live import BUNDLES, ROOT, TIMEOUT, free_port, running
from tests.service.sealed import USER, can_seal, environment_of, sealed

NOT_SHIPPED = {"deploy", "export", "lightning", "loadtest", "models", "onnx", "onnxscript", "pytest", "tests", "torch"}
PICTURE = {"image": replies.as_base64(save(draw(40, 30), "PNG"))}
TEXT, PROMPT = {"text": replies.TEXT}, {"prompt": "M:6/8\nK:G\n", "seed": 1, "max_length": 12}
ASKED: dict[str, dict[str, Any]] = {
    **dict.fromkeys((replies.TRANSLATE, replies.STREAM, replies.CLASSIFY, replies.TAG), TEXT),
    **dict.fromkeys((*replies.CAPTION_PATHS, replies.COMPLETE_IMAGE, replies.UPSCALE), PICTURE),
    **dict.fromkeys((replies.GENERATE, replies.GENERATE_STREAM), PROMPT),
    replies.MIDI: {**PROMPT, "max_length": 60},
    replies.RECOMMEND: {"session": ["sku-107", 9654]},
    # Of words that the shipped model and the small one were both taught.
    replies.ANSWER: {"story": ["Nothing went down."], "question": "Where is nothing?"},
}
READ = ("/v1/models", "/v1/models/{name}")


@dataclass(frozen=True)
class Built:
    """A Bento, and where it is served: in an environment of the packages that it names, with one place to write."""

    folder: Path
    said: str
    image: Image
    python: Path
    writable: Path

    @property
    def variables(self) -> dict[str, str]:
        """Those of the image, with the places of this machine."""
        places = {
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "BENTO_PATH": str(self.folder),
            "BENTOML_HOME": str(self.writable / "bentoml"),
            "HOME": str(self.writable),
            "TMPDIR": str(self.writable),
        }
        return self.image.variables | places


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    # Not below pytest's own folder, which no other user may enter.
    with tempfile.TemporaryDirectory() as created:
        base = Path(created)
        base.chmod(0o755)
        command = [sys.executable, "-m", "deploy.container.build", "--device", "cpu"]
        environment = os.environ | {"BENTOML_HOME": str(base / "store")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (bento,) = (path for path in (base / "store" / "bentos" / "seqserve-cpu").iterdir() if path.is_dir())
        image = read_dockerfile((bento / "env" / "docker" / "Dockerfile").read_text(encoding="utf-8"))
        python = environment_of(locked_packages(bento), base / "environment")
        (base / "elsewhere").mkdir()
        writable = base / "writable"
        writable.mkdir()
        writable.chmod(0o777)
        # In the image it is its user's own.
        subprocess.run(["chmod", "-R", "a+rX", str(base / "store")], check=True)  # noqa: S607
        yield Built(bento, done.stdout, image, python, writable)


def run_sealed(built: Built, code: str) -> Any:
    """What Python code prints as JSON, where the service would run."""
    command, options = sealed([str(built.python), "-c", code], built.writable)
    source = built.folder / "src"
    done = subprocess.run(
        command, cwd=source, env=built.variables, capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_its_size_is_told(built: Built) -> None:
    told = dict(line.split(maxsplit=1) for line in built.said.splitlines())
    assert told["Bento"] == f"seqserve-cpu:{built.folder.name}"
    files = [path for path in built.folder.rglob("*") if path.is_file()]
    assert told["size"].startswith(f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB: ")
    assert f"{len(locked_packages(built.folder))} packages: " in told["environment"]


def test_it_holds_the_service_the_contract_the_models_and_nothing_else(built: Built) -> None:
    source = built.folder / "src"
    assert {path.name for path in source.iterdir()} == {"artifacts", "bentofile.yaml", "contract", "service"}
    for package in ("contract", "service"):
        files = [{path.relative_to(root) for path in (root / package).rglob("*.py")} for root in (source, ROOT)]
        assert files[0] == files[1]
    files = [path for path in source.rglob("*") if path.is_file() and path.name != "bentofile.yaml"]
    assert {path.suffix for path in files if "artifacts" not in path.parts} <= {".py", ".html", ".js", ".css"}
    imported = {name for path in source.rglob("*.py") for name in imports(path)}
    assert "onnxruntime" in imported
    assert imported.isdisjoint(NOT_SHIPPED)
    assert NOT_SHIPPED.isdisjoint(locked_packages(built.folder))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.skipif(not can_seal(), reason="neither root, nor allowed to mount")
def test_where_it_runs_nothing_else_is_found_and_nothing_can_be_written(built: Built) -> None:
    places = [built.folder / "src", built.folder.parents[3] / "elsewhere", built.python.parent, ROOT, Path("/")]
    code = f"""
import importlib.util, json, os, pathlib
def writes(place):
    try:
        (pathlib.Path(place) / "written").touch()
    except OSError:
        return False
    return True
found = [name for name in {sorted(NOT_SHIPPED)} if importlib.util.find_spec(name)]
written = [place for place in {[str(place) for place in places]} if writes(place)]
print(json.dumps([os.getuid(), found, written, writes({str(built.writable)!r})]))
"""
    assert run_sealed(built, code) == [USER if os.getuid() == 0 else os.getuid(), [], [], True]


def test_its_image_runs_as_no_root_and_can_be_probed(built: Built) -> None:
    assert built.image.user == "1034:1034"
    assert built.image.variables["BENTOML_DO_NOT_TRACK"] == "True"
    assert all(built.image.variables[name].startswith("/tmp") for name in ("HOME", "BENTOML_HOME"))  # noqa: S108
    assert built.image.folder == "/home/bentoml/bento/src"
    assert [step.argument for step in built.image.steps if "apt-get" in step.argument] == []


@pytest.fixture(scope="module", params=["as BentoML serves it", "as its image serves it, with models mounted"])
def served(built: Built, request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    """The address of the Bento's service, and the folder of its models."""
    port = free_port()
    settings = {"SEQSERVE_HOST": "127.0.0.1", "SEQSERVE_PORT": str(port)}
    if "mounted" in request.param:
        bundles = Path(shutil.copytree(BUNDLES, built.folder.parents[3] / "models"))
        settings["SEQSERVE_BUNDLES"] = str(bundles)
        # The first word is the entry point, at its place in the image.
        command, folder = ["bash", str(built.folder / "env" / "docker" / "entrypoint.sh")], built.folder / "src"
        command += built.image.command[1:]
    else:
        bundles, folder = built.folder / "src" / "artifacts", built.folder.parents[3] / "elsewhere"
        command = ["python", "-m", "bentoml", "serve", str(built.folder)]
    command, options = sealed(command, built.writable)
    log = built.writable.parent / "log"
    with running(command, built.variables | settings, port, log, folder, **options) as process:
        yield f"http://127.0.0.1:{port}", bundles
        health = [str(built.python), *built.image.health[1:]]
        subprocess.run(health, env=built.variables | settings, check=True)
        process.terminate()
        assert process.wait(TIMEOUT) == 0, log.read_text()


def test_every_route_of_the_built_bento_answers(served: tuple[str, Path]) -> None:
    url, bundles = served
    with httpx.Client(base_url=url, timeout=TIMEOUT) as client:
        models = client.get("/v1/models").json()["models"]
        assert [model["name"] for model in models] == sorted(path.name for path in bundles.iterdir())
        routes = client.get("/v1/openapi.json").json()["paths"]
        assert set(routes) == {*ASKED, *READ}
        assert client.get(f"/v1/models/{models[0]['name']}").json().items() >= models[0].items()
        for path, body in ASKED.items():
            task = path.split("/")[2]
            default = next((model["name"] for model in models if model["task"] == task and model["default"]), None)
            reply = client.post(path, json=body)
            if default is None:
                replies.check_problem(reply, "unknown-model", "model")
                continue
            assert reply.status_code == 200, (path, reply.text)
            if path == replies.MIDI:
                assert reply.content.startswith(b"MThd")
            elif path == replies.OVERLAY:
                assert reply.content.startswith(b"\x89PNG")
            elif path.endswith("/stream"):
                name, last = replies.read_events(reply.text)[-1]
                assert (name, last["model"]) == ("done", default)
            else:
                assert reply.json()["model"] == default
        assert client.get("/livez").status_code == 200
        assert 'seqserve_request_duration_seconds_count{model="' in client.get("/metrics").text
