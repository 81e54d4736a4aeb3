"""The service's commands: `python -m service serve | verify | predict | list | key`."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from contract.manifest import BundleError
from service.bundles import all_faults, check_bundles, find_bundles
from service.keys import KeyFile, KeyFileError, draw_key
from service.settings import ENV_PREFIX, Settings, available_cores

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

_TARGET = "service.app:SequenceService"
_ROOT = Path(__file__).resolve().parent.parent
_CLOSING_SECONDS = 5
"""What is left to the server to close connections, once accepted requests are done or out of time."""
_KEEP_ALIVE_SECONDS = 75
"""Longer than load balancers keep an idle connection (60 s, mostly): who closes first must be the one who sends."""


@app.command()
def serve(
    bundles: Annotated[Path | None, typer.Option(help="Folder of bundles, NAME/VERSION/ each.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    provider: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, int8 or fp16; else the provider's own choice.")] = None,
    threads: Annotated[int | None, typer.Option(help="Compute threads; else all cores but one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
) -> None:
    """Serve every bundle of a folder over HTTP. All settings can be given as SEQSERVE_… variables too."""
    given = {
        "bundles": bundles and bundles.resolve(),
        "host": host,
        "port": port,
        "provider": provider,
        "precision": precision,
        "threads": threads,
        "workers": workers,
    }
    os.environ |= {f"{ENV_PREFIX}{name}".upper(): str(value) for name, value in given.items() if value is not None}
    settings = _settings()
    try:
        find_bundles(settings)
        if settings.key_file is not None:
            KeyFile(settings.key_file)
    except (BundleError, KeyFileError) as error:
        _fail(str(error))
    for number in (settings.port, settings.admin_port):
        if number is not None:
            _check_port(settings, number)
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    os.environ.setdefault("BENTOML_HOME", _state_folder(settings.port))
    os.environ.setdefault(f"{ENV_PREFIX}BUNDLES", str(settings.bundles.resolve()))
    if settings.key_file is not None:
        os.environ[f"{ENV_PREFIX}KEY_FILE"] = str(settings.key_file.absolute())
    command = [sys.executable, "-m", "bentoml", "serve", _TARGET, "--working-dir", str(_ROOT)]
    command += ["--host", str(settings.host), "--port", str(settings.port)]
    command += ["--timeout-graceful-shutdown", str(_CLOSING_SECONDS), "--timeout-keep-alive", str(_KEEP_ALIVE_SECONDS)]
    os.execv(sys.executable, command)  # noqa: S606  # becomes the supervisor, so that signals and exit code are its own


@app.command("list")
def list_bundles(
    bundles: Annotated[Path | None, typer.Option(help="Folder of bundles, NAME/VERSION/ each.")] = None,
) -> None:
    """List the bundles that would be served, each checked against its hashes."""
    from rich.console import Console
    from rich.table import Column, Table

    settings = _settings({"bundles": bundles} if bundles else None)
    names = ("name", "task", "version", "precisions", "size")
    table = Table(*(Column(name, no_wrap=True) for name in names), "scores")
    try:
        manifests, refused = check_bundles(settings)
    except BundleError as error:
        _fail(str(error))
    for manifest in manifests:
        size = sum(file.bytes for file in manifest.files.values()) / 1e6
        table.add_row(
            manifest.name,
            manifest.task,
            manifest.version,
            ", ".join(variant.precision for variant in manifest.variants),
            f"{size:.1f} MB",
            "\n".join(f"{score.metric} {score.value:.1f} ({score.split})" for score in manifest.scores),
        )
    Console().print(table)
    if refused:
        _fail(str(all_faults(settings.bundles, refused)))


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle: NAME/ (its newest version) or NAME/VERSION/.")],
    beam_size: Annotated[
        int | None, typer.Option(min=1, help="of texts written: 1 is greedy; else the bundle's default.")
    ] = None,
    length_penalty: Annotated[float | None, typer.Option(help="of texts written: else the bundle's default.")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="of texts written: longest output, in tokens.")] = None,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="classify, recommend, answer: how many; of what is drawn: from so many."),
    ] = None,
    top_p: Annotated[float | None, typer.Option(help="of what is drawn: from the fewest of this share.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="of what is drawn: 0 takes the likeliest each time.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="of what is drawn, first line; those of the others follow it.")
    ] = None,
    exclude_seen: Annotated[bool, typer.Option(help="recommend: leave out the session's own items.")] = False,
    truncate: Annotated[bool, typer.Option(help="translate, classify, tag: cut what is beyond the limit.")] = False,
    precision: Annotated[str | None, typer.Option(help="fp32, int8 or fp16; else the provider's own choice.")] = None,
    threads: Annotated[int | None, typer.Option(help="Compute threads; else all cores.")] = None,
) -> None:
    """Lines from standard input through a model to standard output, in order, without a server.

    A line is a text, the path of a picture, a session of item ids, a prompt, as a JSON string where it has several
    lines, or a JSON object of a story (a list of sentences) and a question. Translations and captions come out as text,
    all else as JSON.
    """
    from service.predict import predict_lines
    from service.runtime.errors import RefusalError

    asked = {
        "beam_size": beam_size,
        "length_penalty": length_penalty,
        "max_length": max_length,
        "top_k": top_k,
        "top_p": top_p,
        "temperature": temperature,
        "seed": seed,
        "exclude_seen": exclude_seen or None,
        "truncate": truncate or None,
    }
    options = {name: value for name, value in asked.items() if value is not None}
    given = {"precision": precision, "threads": threads or available_cores()}
    settings = _settings({name: value for name, value in given.items() if value is not None})
    try:
        lines = sys.stdin.buffer.read().decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        _fail(f"standard input is not UTF-8: {error}")
    try:
        for line in predict_lines(bundle, lines, options, settings):
            typer.echo(line)
    except (BundleError, RefusalError) as error:
        _fail(str(error))


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose key it is: 1 to 64 letters, digits, - or _.")],
    tasks: Annotated[list[str] | None, typer.Option("--task", help="A task it may ask for; else all of them.")] = None,
) -> None:
    """Draw an API key: the key itself on standard error, to be handed on, and its line for SEQSERVE_KEY_FILE on output.

    The line holds the key's hash; the key is nowhere else, and cannot be told again.
    """
    try:
        drawn, line = draw_key(name, tasks or ())
    except KeyFileError as error:
        _fail(str(error))
    typer.echo(f"key: {drawn}", err=True)
    typer.echo(line)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle: NAME/ (its newest version) or NAME/VERSION/.")],
) -> None:
    """Prove a bundle on this machine: every file against its hash, every graph against its exported numbers."""
    from rich.console import Console
    from rich.table import Table

    from service.runtime.verify import VerificationError, verify_bundle

    try:
        measured = verify_bundle(bundle)
    except (BundleError, VerificationError) as error:
        _fail(str(error))
    table = Table("precision", "graph", "output", "largest error", "allowed")
    for found in measured:
        result = found.note if found.max_error is None else f"{found.max_error:.3g}"
        table.add_row(found.precision, found.graph, found.output, result, f"{found.tolerance:.3g}")
    Console().print(table)
    run = sum(found.max_error is not None for found in measured)
    typer.echo(f"{bundle}: every hash fits, {run} of {len(measured)} outputs were run and are within their tolerance")


def _settings(given: dict[str, object] | None = None) -> Settings:
    try:
        return Settings.model_validate(given or {})
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors()]
        _fail("\n".join(faults))


def _check_port(settings: Settings, port: int) -> None:
    """Tell at once what the server would tell in a stack trace."""
    family = socket.AF_INET6 if settings.host.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(settings.host), port))
        except OSError as error:
            option = "--port" if port == settings.port else f"{ENV_PREFIX}ADMIN_PORT"
            _fail(f"cannot listen on {settings.host} port {port}: {error.strerror}; choose another {option}")


def _state_folder(port: int) -> str:
    """Where BentoML and the metrics keep their files: one folder a port, so that services do not wipe each other's."""
    try:
        folder = Path.home() / ".cache" / "seqserve" / f"port-{port}"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return tempfile.mkdtemp(prefix="seqserve-")
    return str(folder)


def _fail(message: str) -> NoReturn:
    typer.echo(f"seqserve: {message}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
