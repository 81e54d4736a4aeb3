"""How busy the GPUs are, by `nvidia-smi`, where there are any."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

_EVERY_MILLISECONDS = 200


class Utilisation:
    """Share of the time in which a kernel ran, looked at again and again; `mean` is None where there is no GPU."""

    def __init__(self) -> None:
        self.mean: float | None = None


@contextmanager
def watch_gpus() -> Iterator[Utilisation]:
    """Look at all GPUs while the block runs; the mean is there when it has ended."""
    found = Utilisation()
    program = shutil.which("nvidia-smi")
    if program is None:
        yield found
        return
    query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"--loop-ms={_EVERY_MILLISECONDS}"]
    with TemporaryFile() as output, subprocess.Popen([program, *query], stdout=output) as process:  # noqa: S603
        try:
            yield found
        finally:
            process.terminate()
            process.wait()
            output.seek(0)
            found.mean = read_mean(output.read().decode())


def read_mean(lines: str) -> float | None:
    """The mean of the figures that were printed, as a share; None where none was (`[N/A]`, say)."""
    figures = [int(line) for line in lines.split("\n") if line.strip().isdigit()]
    return statistics.fmean(figures) / 100 if figures else None


def name_gpus() -> str | None:
    """What the GPUs are called; None where there are none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=name", "--format=csv,noheader"]
    listed = subprocess.run(query, capture_output=True, text=True, check=False)  # noqa: S603
    names = [line.strip() for line in listed.stdout.splitlines() if line.strip()]
    return ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names)) or None
