"""The load test itself: it passes on a service that answers well, and fails on any other.

It runs in processes of its own, because locust patches the standard library of any that imports it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.bench.server import run_server

LOCUSTFILE = Path(__file__).resolve().parents[2] / "loadtest" / "locustfile.py"
SERVER = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.reply(200, {{}})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body["text"] if isinstance(body["text"], list) else [body["text"]]
        self.reply(200 if self.path == "/v1/translate" else 404, {reply})
    def reply(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
"""
GOOD = "{'translations': [{'text': text, 'score': -1.0} for text in texts]}"


def load(url: str, p95: int = 60_000) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "--headless", "--locustfile", str(LOCUSTFILE), "--host", url]
    command += ["--users", "2", "--spawn-rate", "2", "--run-time", "3s", "--p95", str(p95)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (GOOD, 0, "POST"),
        (GOOD.replace("in texts", "in texts[1:]"), 1, "0 translations of 1 texts"),
        (GOOD.replace("'text': text", "'text': ''"), 1, "an empty translation"),
        (GOOD.replace("-1.0", "0.5"), 1, "a score above 0"),
    ],
    ids=["good", "one missing", "empty", "impossible score"],
)
def test_every_reply_is_checked(reply: str, code: int, said: str) -> None:
    with run_server(["-c", SERVER.format(reply=reply)]) as server:
        result = load(server.url)
    assert result.returncode == code, result.stderr
    assert said in result.stdout + result.stderr


def test_slow_replies_fail_the_run() -> None:
    with run_server(["-c", SERVER.format(reply=GOOD)]) as server:
        assert load(server.url, p95=-1).returncode == 1


def test_no_other_machine_is_loaded() -> None:
    result = load("http://192.0.2.1:3000")
    assert result.returncode != 0
    assert "is not this machine" in result.stderr


def test_a_service_that_is_not_there_fails_the_run() -> None:
    assert load("http://127.0.0.1:9").returncode == 1
