"""The numbers of docs/performance.md: all of them, or one.

Each is shown, saved as JSON under reports/bench/ and written into docs/performance.md. Sentences are those of
Multi30k's test_2016_flickr where --data or SEQSERVE_DATA names the folder of the data sets, else captions shipped here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Protocol, TypeVar

import typer
from pydantic import TypeAdapter
from rich.console import Console

from contract.manifest import BundleError, Score
from contract.text import BOS, EOS, UNK, TextCodec
from export.markdown import MarkerError
from loadtest.bench.corpus import DATA_VARIABLE, CorpusError, load_corpus
from loadtest.bench.measure import describe_machine
from loadtest.bench.results import DOCUMENT, REPORTS, fill_document, save_json
from loadtest.bench.table import Table
from loadtest.pictures import NoPicturesError
from service.runtime.bundle import Bundle
from service.runtime.session import ProviderChoice

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console()

BundleOption = Annotated[Path, typer.Option("--bundle", help="NAME/ of a Transformer's bundle.")]
BundlesOption = Annotated[Path, typer.Option("--bundles", help="Folder of the bundles that are served.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of the data sets; else SEQSERVE_DATA.")]
RepeatsOption = Annotated[int, typer.Option("--repeats", min=1, help="How often each figure is measured.")]
TRANSFORMER, SHIPPED = Path("artifacts/translation-en-de"), Path("artifacts")
COMPARED = [SHIPPED / name for name in ("translation-en-de", "sentiment-bilstm", "next-item", "captions")]
CONNECTIONS = [1, 8, 64]
RATES, BOUNDS = [10.0, 100.0, 1000.0], [50.0, 100.0, 250.0]
CAPACITY_DOCUMENT = Path("docs/capacity.md")
CAPTIONS = SHIPPED / "captions"


class Result(Protocol):
    """What a benchmark returns."""

    def tables(self) -> list[Table]: ...


_Result = TypeVar("_Result", bound=Result)


@app.callback(invoke_without_command=True)
def all_of_them(context: typer.Context, data: DataOption = None) -> None:
    """Without a command: all but `peers`, `capacity`, `judge` and `precisions`. About ten minutes."""
    if context.invoked_subcommand is not None:
        return
    runtime(data=data)
    batching(data=data)
    http(data=data)
    caption()
    startup()
    if load_corpus(data).references is None:
        console.print("quality is left out: --data names the folder of the data sets")
    else:
        quality(data=data)


@app.command()
def runtime(bundle: BundleOption = TRANSFORMER, data: DataOption = None, repeats: RepeatsOption = 7) -> None:
    """Compare the decoding engine with CTranslate2, in one process, on the same weights."""
    from loadtest.bench.compare import compare
    from loadtest.bench.convert import SpecialTokens, convert
    from loadtest.bench.peer import Peer
    from loadtest.bench.weights import count_heads, read_parameters

    def run(report: Callable[[str], None]) -> Result:
        opened, corpus = _open(bundle), load_corpus(data)
        with TemporaryDirectory() as folder:
            model = Path(folder) / "model"
            vocabularies = _vocabulary(opened.source), _vocabulary(opened.target)
            parameters = read_parameters(opened.folder, opened.manifest)
            convert(parameters, count_heads(opened.manifest), vocabularies, SpecialTokens(UNK, BOS, EOS), model)
            return compare(opened, Peer(model), corpus, repeats=repeats, report=report)

    _publish("runtime", run)


@app.command()
def batching(bundle: BundleOption = TRANSFORMER, data: DataOption = None, repeats: RepeatsOption = 7) -> None:
    """Compare continuous with static batching on the same graphs."""
    from loadtest.bench.batching import measure_batching

    _publish(
        "batching", lambda report: measure_batching(_open(bundle), load_corpus(data), repeats=repeats, report=report)
    )


@app.command()
def http(bundle: BundleOption = TRANSFORMER, data: DataOption = None, repeats: RepeatsOption = 5) -> None:
    """Compare /v1/translate with the engine in-process."""
    from loadtest.bench.overhead import measure_overhead

    _publish("http", lambda report: measure_overhead(_open(bundle), load_corpus(data), repeats=repeats, report=report))


@app.command()
def peers(
    bundles: Annotated[
        list[Path],
        typer.Option("--bundle", help="NAME/ of a translator's, classifier's, recommender's or captioner's."),
    ] = COMPARED,
    run: Annotated[
        list[str], typer.Option("--run", help="NAME=DIR: PyTorch takes a bundle's weights from a training run.")
    ] = [],  # noqa: B006  # typer reads it
    provider: Annotated[ProviderChoice, typer.Option("--provider", help="Of all systems.")] = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Of all systems; else all cores but one.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Of the service and of LitServe.")] = 1,
    connections: Annotated[list[int], typer.Option("--connections", min=1, help="May be repeated.")] = CONNECTIONS,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Of one measurement, about.")] = 5.0,
    pictures: Annotated[Path | None, typer.Option("--pictures", help="Folder of pictures; else made-up ones.")] = None,
    data: DataOption = None,
    repeats: RepeatsOption = 3,
) -> None:
    """Compare the service with what a user would take in its place, on the same weights. Half an hour."""
    from contract.versions import latest_version
    from loadtest.bench.gpu import name_gpus
    from loadtest.bench.peer_tables import Peers, draw_peers
    from loadtest.bench.peers import measure_task
    from loadtest.bench.systems import Conditions
    from service.runtime.session import resolve_provider

    resolved = resolve_provider(provider)
    conditions = Conditions(
        provider=resolved,
        threads=threads or max(1, describe_machine().cores // workers - 1),
        workers=workers,
        runs={name: Path(folder) for name, _, folder in (each.partition("=") for each in run)},
    )

    def measure(report: Callable[[str], None]) -> Peers:
        corpus = load_corpus(data)
        tasks = [
            measure_task(
                latest_version(bundle),
                corpus,
                conditions,
                connections=sorted(connections),
                seconds=seconds,
                repeats=repeats,
                pictures=pictures,
                report=report,
            )
            for bundle in bundles
        ]
        device = name_gpus() if resolved == "cuda" else None
        return Peers(device or f"CPU, {conditions.threads} compute thread(s)", tasks)

    draw_peers(_publish("peers", measure))


@app.command()
def capacity(
    bundles: Annotated[list[Path], typer.Option("--bundle", help="NAME/ of a bundle of those tasks.")] = COMPARED,
    rates: Annotated[list[float], typer.Option("--rate", help="Requests a second to plan for.")] = RATES,
    bounds: Annotated[list[float], typer.Option("--bound", help="Milliseconds, of 99 of 100 requests.")] = BOUNDS,
    provider: Annotated[ProviderChoice, typer.Option("--provider", help="Of the replica.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Compute threads of a replica.")] = 1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Of one measurement, about.")] = 20.0,
    pictures: Annotated[Path | None, typer.Option("--pictures", help="Folder of pictures; else made-up ones.")] = None,
    data: DataOption = None,
) -> None:
    """Measure what a replica can do, hold the simulation against random arrivals, and count the replicas needed."""
    from contract.versions import latest_version
    from loadtest.bench.sizing import Sizing, size
    from loadtest.bench.systems import Conditions
    from service.runtime.session import resolve_provider

    conditions = Conditions(provider=resolve_provider(provider), threads=threads)

    def measure(report: Callable[[str], None]) -> Sizing:
        corpus = load_corpus(data)
        sized = [
            size(latest_version(bundle), corpus, conditions, seconds=seconds, pictures=pictures, report=report)
            for bundle in bundles
        ]
        return Sizing(sized, sorted(rates), sorted(bounds))

    _publish("capacity", measure, CAPACITY_DOCUMENT)


@app.command()
def caption(
    bundle: Annotated[Path, typer.Option("--bundle", help="NAME/ of a captioner's bundle.")] = CAPTIONS,
    pictures: Annotated[Path | None, typer.Option("--pictures", help="Folder of pictures; else made-up ones.")] = None,
    repeats: RepeatsOption = 5,
) -> None:
    """Show where the time of a caption goes, and compare /v1/caption with the same graphs behind LitServe."""
    from loadtest.bench.caption import measure_captions

    _publish("caption", lambda report: measure_captions(_open(bundle), repeats=repeats, folder=pictures, report=report))


@app.command()
def startup(bundles: BundlesOption = SHIPPED, repeats: RepeatsOption = 5) -> None:
    """Measure cold start and memory of the service, above an empty BentoML service."""
    from loadtest.bench.startup import measure_startup

    _publish("startup", lambda report: measure_startup(_names(bundles), repeats=repeats, report=report))


@app.command()
def quality(bundles: BundlesOption = SHIPPED, data: DataOption = None) -> None:
    """Measure BLEU through /v1/translate; scores for `python -m export record` go to reports/bench/scores/."""
    from loadtest.bench.quality import measure_quality

    result = _publish("quality", lambda report: measure_quality(_names(bundles), load_corpus(data), report=report))
    for model in dict.fromkeys(judged.model for judged in result.judged):
        _save_scores(model, result.scores(model))


@app.command()
def judge(
    data: Annotated[Path, typer.Option("--data", envvar=DATA_VARIABLE)], bundles: BundlesOption = SHIPPED
) -> None:
    """Hold what is answered against test sets, captions against validation sets, tunes against what they should be."""
    from loadtest.bench.judge import judge

    result = _publish("judge", lambda report: judge(_names(bundles), data, report=report))
    for verdict in result.verdicts:
        _save_scores(verdict.model, result.scores(verdict.model))


@app.command()
def precisions(bundles: Annotated[Path, typer.Option("--bundles")], data: DataOption = None) -> None:
    """Compare int8 with fp32 through /v1/translate; needs bundles exported with `--ship fp32,int8`."""
    from loadtest.bench.quality import measure_quality

    _publish("precisions", lambda report: measure_quality(_names(bundles), load_corpus(data), report=report))


def _publish(name: str, run: Callable[[Callable[[str], None]], _Result], document: Path = DOCUMENT) -> _Result:
    """Run a benchmark under a status line; show, save and document its result."""
    machine = describe_machine()
    try:
        with console.status(name) as status:
            result = run(lambda text: status.update(f"{name}: {text}"))
        save_json(name, machine, result)
        fill_document(document, name, machine, result.tables())
    except (BundleError, CorpusError, MarkerError, NoPicturesError) as error:
        console.print(f"bench: {error}", style="red", highlight=False)
        raise typer.Exit(1) from None
    for table in result.tables():
        console.print(table.rich())
    return result


def _save_scores(model: str, scores: list[Score]) -> None:
    """Keep a model's scores as `python -m export record` takes them."""
    folder = REPORTS / "scores"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{model}.json").write_bytes(TypeAdapter(list[Score]).dump_json(scores, indent=1) + b"\n")


def _open(bundle: Path) -> Bundle:
    from loadtest.bench.engine import open_on_one_core

    return open_on_one_core(bundle)


def _vocabulary(codec: TextCodec) -> list[str]:
    return codec.tokens(list(range(codec.vocabulary_size)))


def _names(bundles: Path) -> list[Path]:
    return sorted(path for path in bundles.iterdir() if path.is_dir() and not path.name.startswith("."))


if __name__ == "__main__":
    app()
