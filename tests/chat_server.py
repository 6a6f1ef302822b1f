"""A small chat endpoint: python chat_server.py PORT_FILE [--die-after N]. It writes questions about a transcript by rule.

Every third request is turned away with 429 or 500, as busy servers do. About a transcript with the word "nonsense" it says
nothing of use, and about one with "liar" it first says what was not said. After N answers it is gone.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

COUNT = {"requests": 0, "answers": 0}
LOCK = Lock()
DIE_AFTER = int(sys.argv[3]) if len(sys.argv) > 3 else None


def answer(messages: list[dict]) -> str:
    words = messages[1]["content"].strip(".").split()
    if "nonsense" in words:
        return "Sure, happy to help!"
    evidence = " ".join(words[:4])
    said = "It was all about purple submarines." if "liar" in words and len(messages) == 2 else f"That {evidence}."
    reply = {"question": f"What was said about {words[-1]}?", "answer": said, "evidence": evidence}
    return f"```json\n{json.dumps(reply)}\n```"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with LOCK:
            COUNT["requests"] += 1
            busy = COUNT["requests"] % 3 == 0
            COUNT["answers"] += not busy
            if DIE_AFTER is not None and COUNT["answers"] > DIE_AFTER:
                os._exit(0)
        content = {"choices": [{"message": {"role": "assistant", "content": answer(body["messages"])}}]}
        data = json.dumps({} if busy else content).encode()
        self.send_response((429 if COUNT["requests"] % 2 else 500) if busy else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        data = json.dumps(COUNT).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
ready = Path(sys.argv[1])
ready.with_suffix(".part").write_text(str(server.server_port))
ready.with_suffix(".part").rename(ready)
server.serve_forever()
