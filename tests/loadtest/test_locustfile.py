"""The load test itself: it passes on a service that answers well, and says of any other what is wrong with it.

It runs in processes of its own, because locust patches the standard library of any that imports it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.bench.server import Server, run_server
from loadtest.report import Report
from loadtest.soak import Soaked

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
BUNDLES = DATA / "bundles" / "v1"
SERVED = ("tiny-en-de", "tiny-classify", "tiny-tag", "tiny-items", "tiny-captions", "tiny-answers", "tiny-tunes")
REPORTS = Path("reports") / "load"
SERVER = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        found = [{"label": "a", "score": 0.9, "labels": [{"label": "a", "score": 0.9}]} for _ in texts]
        self.reply({"predictions": found[len(texts) > 1:]})
    def do_GET(self):
        self.reply({"models": [{"task": "classify", "default": True, "limits": {}}]})
    def reply(self, content):
        data = json.dumps(content).encode()
        keys = [f"Bearer {key}" for key in sys.argv[1:-2]]
        free = self.path == "/readyz" or not keys
        self.send_response(200 if free or self.headers["Authorization"] in keys else 401)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
"""


def loadtest(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **variables}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for name in SERVED:
        (folder / name).symlink_to(BUNDLES / name)
    return folder


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the small models know: the data that they were trained on."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "translate.txt").write_text((DATA / "parallel" / "test.en").read_text("utf-8"), encoding="utf-8")
    told, asked, *_ = (DATA / "stories" / "t1_where_train.txt").read_text("utf-8").splitlines()
    question = {"story": [told.partition(" ")[2]], "question": asked.partition(" ")[2].partition("?")[0] + "?"}
    (folder / "answer.jsonl").write_text(json.dumps(question), encoding="utf-8")
    (folder / "generate.jsonl").write_text('""\n', encoding="utf-8")
    return folder


def test_a_service_is_soaked_and_its_counters_add_up(tmp_path: Path, bundles: Path, material: Path) -> None:
    own = tmp_path / "thresholds.yaml"
    own.write_text("default: {p95: 60000}\n", encoding="utf-8")
    options = ["--seconds", "6", "--users", "4", "--bundles", str(bundles), "--thresholds", str(own)]
    result = loadtest(tmp_path, "soak", *options, "--data", str(material))
    soaked = Soaked.model_validate_json((tmp_path / REPORTS / "soaked.json").read_text("utf-8"))
    # Of so short a run the memory says nothing.
    assert all("memory grew by" in fault for fault in soaked.faults()), result.stdout + result.stderr
    assert result.returncode == bool(soaked.faults())
    assert set(soaked.sent) == {"translate", "classify", "tag", "recommend", "caption", "answer", "generate"}
    assert soaked.sent == soaked.counted
    assert (tmp_path / REPORTS / "soak.html").is_file()
    assert "/v1/translate" in (tmp_path / REPORTS / "soak_stats.csv").read_text("utf-8")


@pytest.fixture(scope="module")
def fake() -> Server:
    with run_server(["-c", SERVER]) as server:
        yield server


def test_a_service_that_answers_badly_fails_and_the_breach_is_named(tmp_path: Path, fake: Server) -> None:
    options = ["--url", fake.url, "--rate", "40", "--duration", "3s", "--users", "2"]
    result = loadtest(tmp_path, "load", "--shape", "step", *options)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "went wrong, the limit is 0.00%: 5 predictions where 6 were asked for" in result.stderr
    report = Report.model_validate(json.loads((tmp_path / REPORTS / "step.json").read_text("utf-8")))
    assert [phase.name for phase in report.phases if phase.judged] == [f"step {n}%" for n in (20, 40, 60, 80, 100)]
    assert [phase.rate for phase in report.phases if phase.judged] == pytest.approx([8, 16, 24, 32, 40])
    last = report.phase("step 100%")
    assert last is not None
    assert sum(endpoint.due for endpoint in last.endpoints) == pytest.approx(40 * last.seconds, abs=2)
    assert 0 < sum(endpoint.failed for endpoint in last.endpoints) < last.seconds * 40 / 2


def test_a_service_with_keys_is_asked_with_one(tmp_path: Path) -> None:
    with run_server(["-c", SERVER, "secret"]) as server:
        options = ["--url", f"{server.url}/", "--duration", "1s", "--users", "1"]
        refused = loadtest(tmp_path, "load", *options)
        taken = loadtest(tmp_path, "load", *options, LOADTEST_KEY="secret")
    assert refused.returncode != 0
    assert "replies 401 when asked for its models: LOADTEST_KEY must hold one" in refused.stderr
    report = Report.model_validate_json((tmp_path / REPORTS / "steady.json").read_text("utf-8"))
    assert {status for phase in report.phases for each in phase.endpoints for status in each.statuses} == {200}
    assert "secret" not in taken.stdout + taken.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "http://192.0.2.1:3000"], "is not this machine"),
        (["--url", "http://127.0.0.1:9"], "nothing answers at http://127.0.0.1:9"),
        (["--bundles", "nowhere"], "nowhere holds no bundles"),
    ],
)
def test_a_run_that_cannot_begin_says_why(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = loadtest(tmp_path, "load", *arguments)
    assert result.returncode != 0
    assert said in result.stdout + result.stderr


def test_options_that_mean_nothing_are_refused(tmp_path: Path, fake: Server) -> None:
    result = loadtest(tmp_path, "load", "--url", fake.url, "--mix", "classify,tag")
    assert result.returncode != 0
    assert "nothing is served for tag" in result.stderr
