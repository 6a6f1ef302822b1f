"""A small chat endpoint: python chat_server.py PORT_FILE [--die-after N] [--locked KEY] [--no-schema].

Asked about a transcript, it writes a question by rule. If the transcript has the word "nonsense", the answer is
unusable, and with "liar" the first answer is wrong. Every third of these requests is rejected with 429 or 500, as busy
servers do. Asked to direct a dialogue, it lets the user interrupt the second turn and hesitate in the first, or
misbehaves if the dialogue has a word for it: see `direct`. After N answers, the server exits. With a key, it requires
it; without schemas, it rejects requests that have one. GET returns the requests so far.
"""

import argparse
import json
import os
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

COUNT = {"requests": 0, "answers": 0, "at_once": 0, "most_at_once": 0}
LOG: list[dict] = []
SEEN: Counter[str] = Counter()
LOCK = Lock()

EVENTS = [
    {"kind": "interruption", "turn": 2, "after_word": 6, "says": "Wait, is that all?", "reply": "No, there is more."},
    {"kind": "hesitation", "turn": 1, "after_word": 1, "says": "um", "reply": ""},
]
ANSWERS = {
    "nonsense": "Sure, happy to help!",
    "halfway": json.dumps({"events": EVENTS})[:60],
    "silent": "",
    "shapeless": json.dumps({"events": [{"kind": "sneeze", "turn": "two"}]}),
    "boundless": json.dumps({"events": [{**EVENTS[0], "turn": 99}]}),
    "symbols": json.dumps({"events": [{**EVENTS[0], "says": "\u2603"}]}),
    "idle": json.dumps({"events": []}),
}
"""What it says to a dialogue with this word."""


def question(messages: list[dict]) -> str:
    words = messages[1]["content"].strip(".").split()
    if "nonsense" in words:
        return "Sure, happy to help!"
    evidence = " ".join(words[:4])
    said = "It was all about purple submarines." if "liar" in words and len(messages) == 2 else f"That {evidence}."
    reply = {"question": f"What was said about {words[-1]}?", "answer": said, "evidence": evidence}
    return f"```json\n{json.dumps(reply)}\n```"


def direct(messages: list[dict]) -> str:
    text = messages[1]["content"]
    if "careless" in text and len(messages) == 2:
        return ANSWERS["boundless"]
    good = f"<think>Hm.</think>```json\n{json.dumps({'events': EVENTS})}\n```"
    return next((answer for word, answer in ANSWERS.items() if word in text), good)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        with LOCK:
            COUNT["at_once"] += 1
            COUNT["most_at_once"] = max(COUNT["most_at_once"], COUNT["at_once"])
        try:
            self._post()
        finally:
            with LOCK:
                COUNT["at_once"] -= 1

    def _post(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        messages = body["messages"]
        text = messages[-1]["content"] if len(messages) == 1 else messages[1]["content"]
        directs = len(messages) > 1 and messages[0]["content"].startswith("You direct")
        key = self.headers.get("Authorization", "")
        with LOCK:
            COUNT["requests"] += 1
            SEEN[text] += 1
            times = SEEN[text]
            LOG.append({"at": time.monotonic(), "text": text, "key": key, "schema": "response_format" in body})
            busy = COUNT["requests"] % 3 == 0 and not directs and len(messages) > 1
            COUNT["answers"] += not busy
            if ARGS.die_after is not None and COUNT["answers"] > ARGS.die_after:
                os._exit(0)
        if ARGS.locked and key != f"Bearer {ARGS.locked}":
            return self._answer(401, {"error": f"wrong key {key}"})
        if ARGS.no_schema and "response_format" in body:
            return self._answer(400, {"error": "response_format is not known"})
        if busy:
            return self._answer(429 if COUNT["requests"] % 2 else 500, {})
        if directs and "crowded" in text and times == 1:
            return self._answer(429, {}, ("Retry-After", "1"))
        if directs and ("broken" in text or ("stumbling" in text and times <= 2)):
            return self._answer(500, {})
        if directs and "forbidden" in text:
            return self._answer(400, {"error": "filtered"})
        if directs and "slow" in text:
            time.sleep(0.1)
        if directs and ("dead" in text or ("hanging" in text and times == 1)):
            time.sleep(20)
            return None
        content = '{"events": []}' if len(messages) == 1 else direct(messages) if directs else question(messages)
        return self._answer(
            200,
            {"choices": [{"message": {"role": "assistant", "content": content}}]},
            cut=directs and "torn" in text and times == 1,
        )

    def do_GET(self) -> None:
        self._answer(200, COUNT | {"log": LOG})

    def _answer(self, status: int, body: dict, *headers: tuple[str, str], cut: bool = False) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for header in (*headers, ("Content-Length", str(len(data)))):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)

    def log_message(self, *_: object) -> None:
        pass


parser = argparse.ArgumentParser()
parser.add_argument("port_file", type=Path)
parser.add_argument("--die-after", type=int)
parser.add_argument("--locked")
parser.add_argument("--no-schema", action="store_true")
ARGS = parser.parse_args()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
ARGS.port_file.with_suffix(".part").write_text(str(server.server_port))
ARGS.port_file.with_suffix(".part").rename(ARGS.port_file)
server.serve_forever()
