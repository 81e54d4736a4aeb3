"""The load test itself: it passes on a service that answers well, and fails on any other.

It runs in processes of its own, because locust patches the standard library of any that imports it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loadtest.bench.server import run_server

ROOT = Path(__file__).resolve().parents[2]
LOCUSTFILE = ROOT / "loadtest" / "locustfile.py"
SERVER = """
import http.server, json, sys
WHO = {{"/v1/translate": "Reader", "/v1/classify": "Critic", "/v1/tag": "Indexer", "/v1/recommend": "Shopper",
    "/v1/caption": "Photographer", "/v1/generate": "Composer", "/v1/answer": "Listener"}}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"].startswith("multipart/form-data; boundary="):
            body = {{"image": ["a picture"] * body.count(b'name="image"')}}
        else:
            body = json.loads(body)
        if self.path == "/v1/generate/midi":
            return self.reply(b"MThd")
        item = next(body[name] for name in ("text", "session", "image", "prompt", "question") if name in body)
        asked = body["seed"] if "seed" in body else len(body.get("story", ()))
        if isinstance(item, str) or "session" in body and not isinstance(item[0], list):
            item = [item]
        items, key = item, {{"/v1/translate": "translations", "/v1/recommend": "recommendations",
            "/v1/caption": "captions", "/v1/generate": "generations",
            "/v1/answer": "answers"}}.get(self.path, "predictions")
        self.reply({{key: {reply}}})
    def do_GET(self):
        self.reply({{}})
    def reply(self, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
"""
GOOD = {
    "Reader": "[{'text': i, 'score': -1.0} for i in items]",
    "Critic": "[{'label': 'a', 'labels': [{'label': 'a', 'score': 0.9}, {'label': 'b', 'score': 0.1}]} for i in items]",
    "Indexer": "[{'entities': [{'text': i[:5], 'start': 0, 'end': 5}]} for i in items]",
    "Shopper": "[{'items': [{'item': 5}, {'item': 7}]} for i in items]",
    "Photographer": "[{'text': 'a dog', 'score': -1.0} for i in items]",
    "Listener": "[{'text': 'a', 'answers': [{'text': 'a', 'score': 0.9}], 'truncated': asked > 50} for i in items]",
    "Composer": "[{'text': i + 'abc|', 'seed': asked + n, 'score': -1.0} for n, i in enumerate(items)]",
}


def load(url: str, *users: str, p95: int = 60_000) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "--headless", "--locustfile", str(LOCUSTFILE), "--host", url]
    command += ["--users", str(len(GOOD)), "--spawn-rate", "9", "--run-time", "6s", "--p95", str(p95), *users]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_service_that_answers_well_passes() -> None:
    replies = ", ".join(f"{user!r}: lambda items, asked: {reply}" for user, reply in GOOD.items())
    with run_server(["-c", SERVER.format(reply=f"{{{replies}}}[WHO[self.path]](items, asked)")]) as server:
        result = load(server.url)
    assert result.returncode == 0, result.stdout + result.stderr
    tasks = ("translate", "classify", "tag", "recommend", "caption", "generate", "generate/midi", "answer")
    assert all(f"/v1/{task}" in result.stdout + result.stderr for task in tasks)


def test_a_service_that_answers_badly_fails() -> None:
    with run_server(["-c", SERVER.format(reply=GOOD["Reader"].replace("in items", "in items[1:]"))]) as server:
        result = load(server.url, "Reader")
    assert result.returncode == 1, result.stderr
    assert "0 translations where 1 were asked for" in result.stdout + result.stderr


CHECKED = [
    ("wrong_text({'text': '', 'score': -1.0})", "an empty text"),
    ("wrong_text({'text': 'a', 'score': 0.5})", "a score above 0"),
    ("wrong_text({'text': 'a', 'score': -1.0})", "None"),
    ("wrong_prediction({'label': 'a', 'labels': [L('a', 0.1), L('b', 0.9)]})", "labels in no order"),
    ("wrong_prediction({'label': 'b', 'labels': [L('a', 0.9), L('b', 0.1)]})", "labels in no order"),
    ("wrong_prediction({'label': 'a', 'labels': [L('a', 1.9), L('b', 0.1)]})", "no probabilities"),
    ("wrong_prediction({'label': 'a', 'labels': [L('a', 0.9), L('b', 0.1)]})", "None"),
    ("wrong_entities({'entities': [{'text': 'Anna', 'start': 0, 'end': 5}]}, 'Anna')", "an entity that is not in"),
    ("wrong_entities({'entities': [{'text': 'Otto', 'start': 0, 'end': 4}]}, 'Anna')", "an entity that is not in"),
    ("wrong_entities({'entities': [{'text': 'Anna', 'start': 0, 'end': 4}]}, 'Anna')", "None"),
    ("wrong_passage({'text': 'a', 'score': -1.0}, 'b')", "another text of the same seed"),
    ("wrong_passage({'text': '', 'score': -1.0}, '')", "an empty text"),
    ("wrong_passage({'text': 'a', 'score': -1.0}, 'a')", "None"),
    ("wrong_midi(200, b'RIFF')", "status 200"),
    ("wrong_midi(422, b'{type: invalid-prompt}')", "status 422"),
    ("wrong_midi(422, b'{type: invalid-tune}')", "None"),
    ("wrong_midi(200, b'MThd')", "None"),
    ("wrong_answer({'text': 'a', 'answers': [A('a', 0.1), A('b', 0.9)]}, False)", "answers in no order"),
    ("wrong_answer({'text': 'a', 'answers': [A('a', 1.1)]}, False)", "no probabilities"),
    ("wrong_answer({'text': 'b', 'answers': [A('a', 0.9)]}, False)", "not the best one"),
    ("wrong_answer({'text': 'a', 'answers': [A('a', 0.9)]}, True)", "how much of the story"),
    ("wrong_answer({'text': 'a', 'answers': [A('a', 0.9)], 'truncated': True}, True)", "None"),
    ("wrong_items({'items': [{'item': 5}, {'item': 5}]}, 9)", "an item twice"),
    ("wrong_items({'items': [{'item': 5}, {'item': 6}]}, 1)", "more items than asked for"),
    ("wrong_items({'items': [{'item': 5}, {'item': 6}]}, 2)", "None"),
]


def test_every_reply_is_checked() -> None:
    program = "from loadtest.composer import *\nfrom loadtest.listener import *\nfrom loadtest.locustfile import *\n"
    program += "A = lambda text, score: {'text': text, 'score': score}\n"
    program += "L = lambda label, score: {'label': label, 'score': score}\n"
    program += "\n".join(f"print({expression})" for expression, _ in CHECKED)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    for (expression, said), found in zip(CHECKED, result.stdout.splitlines(), strict=True):
        assert said in found, expression


def test_slow_replies_fail_the_run() -> None:
    with run_server(["-c", SERVER.format(reply=GOOD["Reader"])]) as server:
        assert load(server.url, "Reader", p95=-1).returncode == 1


def test_no_other_machine_is_loaded() -> None:
    result = load("http://192.0.2.1:3000")
    assert result.returncode != 0
    assert "is not this machine" in result.stderr


def test_a_service_that_is_not_there_fails_the_run() -> None:
    assert load("http://127.0.0.1:9").returncode == 1
