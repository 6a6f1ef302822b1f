"""A server with OpenAI's `/v1/audio/speech` that speaks with eSpeak NG, and misbehaves if a text asks for it.

Run as a separate process, it prints its port. GET /log returns all requests so far.
"""

import io
import json
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import soundfile

from stages.voices.espeak_engine import RATE, Espeak, EspeakVoice

ESPEAK, LOCK = Espeak(), threading.Lock()
VOICES = {
    name: EspeakVoice("en-us", f"f{n}" if n % 2 else f"m{n}") for n, name in enumerate(("ann", "bob", "cy", "di"), 1)
}
LOG: list[dict] = []
SEEN: Counter[str] = Counter()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(200, json.dumps(LOG).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, voice = asked["input"], asked["voice"]
        authorization = self.headers.get("Authorization", "")
        with LOCK:
            SEEN[text] += 1
            time_of = SEEN[text]
            LOG.append({"at": time.monotonic(), "authorization": authorization, "path": self.path, **asked})
        if asked["model"] != "espeak":
            return self._answer(404, b"no such model")
        if "locked" in sys.argv and authorization != "Bearer s3cret-key":
            return self._answer(401, f"wrong key {authorization}".encode())
        if voice not in VOICES:
            return self._answer(400, f"no voice {voice}; you are {authorization}".encode())
        if "always broken" in text or ("broken twice" in text and time_of <= 2):
            return self._answer(500, b"oops")
        if "busy" in text and time_of == 1:
            return self._answer(429, b"slow down", ("Retry-After", "1"))
        if "hanging" in text and time_of == 1:
            time.sleep(30)
            return None
        sound = self._speak(text, VOICES[voice], asked["response_format"])
        if "cut" in text and time_of == 1:
            self.send_response(200)
            self.send_header("Content-Length", str(len(sound)))
            self.end_headers()
            self.wfile.write(sound[: len(sound) // 2])
            self.close_connection = True
            return None
        if "nonsense" in text:
            sound = b"<html>"
        return self._answer(200, sound)

    def _speak(self, text: str, voice: EspeakVoice, form: str) -> bytes:
        with LOCK:
            samples, _ = ESPEAK.speak(text, voice)
        if form == "pcm":
            return samples.astype("<i2").tobytes()
        file = io.BytesIO()
        soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
        return file.getvalue()

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
