"""An LLM as the director, behind any OpenAI-compatible chat endpoint.

The LLM gets the dialogue with numbered words, and answers with a script as JSON. If an answer can't be used, the LLM gets
the reason and one more try; after that the dialogue stays unchanged, and the reason is counted. Answers are
cached, usable or not, so that a resumed or repeated build makes no request twice and produces the
same corpus."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from pydantic import Field, model_validator

from manifests.endpoint import BUSY, KEY, NoAnswer, check_address, patience
from manifests.errors import RequestError, WorkError
from manifests.files import cache_folder
from manifests.identity import digest
from manifests.records import Dialogue
from salm_duplex_model.chat import Chat
from stages.base import Resources
from stages.directing.answers import AnswerCache
from stages.directing.prompt import numbered, read_script, response_format, system_prompt
from stages.directing.script import Script, Unusable, lines_of
from stages.director import Director, DirectorSettings
from stages.text.languages import name_of

TRIES = 2
DOWN = 5
"""After this many consecutive failed requests, the endpoint is considered down."""
REFUSED = "\0refused"
"""The cache entry for a dialogue that the endpoint refuses to process, for example because of a content filter."""
PROBE = [{"role": "user", "content": 'Reply with this JSON object and nothing else: {"events": []}'}]

Messages = list[dict[str, str]]


class ChatSettings(DirectorSettings):
    url: str = Field(default="https://api.openai.com/v1", description="the endpoint's base URL")
    model: str = Field(min_length=1, description="the model's name at the endpoint")
    temperature: float | None = Field(
        default=0, ge=0, le=2, description="null: the endpoint's default, which some models require"
    )
    wishes: str = Field(
        default="", description="additional instructions for the model, such as how often this user interrupts"
    )
    key_env: str = Field(default=KEY, description="the environment variable that holds the key, if any")
    # These settings do not affect the corpus's content.
    at_once: int = Field(default=4, ge=1, le=256, exclude=True, description="concurrent requests per worker")
    timeout_s: float = Field(default=60, gt=0, exclude=True, description="timeout of a request in seconds")
    retries: int = Field(default=3, ge=0, le=20, exclude=True)
    back_off_s: float = Field(
        default=0.5, ge=0, exclude=True, description="seconds before the second retry; doubles each time"
    )
    cache: str = Field(
        default_factory=lambda: cache_folder("director"),
        exclude=True,
        description="a folder or URL in which answers are cached",
    )

    @model_validator(mode="after")
    def _address_without_secrets(self) -> "ChatSettings":
        # Validates the model rather than the field, whose value, possibly with a key in it, would be shown in the error.
        check_address(self.url)
        return self


class ChatDirector(Director[ChatSettings]):
    """Direct with an LLM. Each worker makes `at_once` requests at a time."""

    resources = Resources(cpus=0.1, concurrency=1, timeout_s=1_800)

    @classmethod
    def check(cls, settings: ChatSettings) -> None:
        """Makes one small request, whose answer is cached, so that a wrong key or model is detected before any work."""
        try:
            _Asked(settings).answer(PROBE)
        except WorkError as error:
            raise RequestError(str(error)) from None

    @property
    def name(self) -> str:
        return self.settings.model

    def setup(self) -> None:
        super().setup()
        own = self.settings
        self._system = system_prompt(own.kinds, own.max_events, name_of(own.language), own.wishes)
        self._asked = _Asked(own)
        self._lock = threading.Lock()  # all threads share one text normalization grammar

    def made_by(self) -> dict[str, str]:
        return {"prompt": digest({"system": self._system})}

    def scripts(self, dialogues: Sequence[Dialogue]) -> list[Script | Unusable]:
        """Raises `WorkError` if the endpoint fails, rather than a dialogue: it can't be reached or does not answer."""
        seen = [numbered(lines_of(dialogue)) for dialogue in dialogues]
        distinct = dict(zip(seen, dialogues, strict=True))  # the takes of a dialogue need one request
        made: dict[str, Script | Unusable] = {}
        failures = 0
        with ThreadPoolExecutor(self.settings.at_once) as pool:
            tasks = {pool.submit(self._script, text, dialogue): text for text, dialogue in distinct.items()}
            try:
                for task in as_completed(tasks):
                    try:
                        made[tasks[task]], failures = task.result(), 0
                    except NoAnswer as error:
                        made[tasks[task]], failures = Unusable("no_answer", str(error)), failures + 1
                        if failures == DOWN or failures == len(tasks) > 1:
                            raise WorkError(f"{error} This happened {failures} times in a row.") from None
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return [made[text] for text in seen]

    def _script(self, text: str, dialogue: Dialogue) -> Script | Unusable:
        asked = [{"role": "system", "content": self._system}, {"role": "user", "content": text}]
        answer = self._asked.known(asked)
        if answer is None:
            answer = self._answer(asked, dialogue)
            self._asked.keep(asked, answer)
        return self._read(answer, dialogue)

    def _answer(self, asked: Messages, dialogue: Dialogue) -> str:
        """The first usable answer, else the last one."""
        talk, answer = [*asked], ""
        for _ in range(TRIES):
            try:
                answer = self._asked.ask(talk)
            except NoAnswer as error:
                if error.status is None or error.status in BUSY:
                    raise
                return answer or REFUSED
            result = self._read(answer, dialogue)
            if isinstance(result, Script):
                break
            talk += [
                {"role": "assistant", "content": answer},
                {"role": "user", "content": f"That can't be used: {result} Reply with the JSON object alone."},
            ]
        return answer

    def _read(self, answer: str, dialogue: Dialogue) -> Script | Unusable:
        if answer == REFUSED:
            return Unusable("refused", "The endpoint refused to answer.")
        try:
            script = read_script(answer)
            with self._lock:
                self.perform(dialogue, script)
        except Unusable as error:
            return error
        return script


class _Asked:
    """The endpoint and its cached answers."""

    def __init__(self, settings: ChatSettings) -> None:
        self._chat = Chat(
            settings.url,
            settings.model,
            "director",
            patience(settings.retries, settings.back_off_s),
            settings.at_once,
            settings.key_env,
            settings.timeout_s,
            f"check director.url, director.model and the key in {settings.key_env}",
        )
        self._temperature = settings.temperature
        made_by = settings.model_dump(include={"url", "model", "temperature"})
        self._cache = AnswerCache(settings.cache, made_by)
        self._keeps_to_schema: bool | None = None

    def answer(self, messages: Messages) -> str:
        if (known := self.known(messages)) is not None:
            return known
        answer = self.ask(messages)
        self.keep(messages, answer)
        return answer

    def known(self, messages: Messages) -> str | None:
        return self._cache.get(messages)

    def keep(self, messages: Messages, answer: str) -> None:
        self._cache.put(messages, answer)

    def ask(self, messages: Messages) -> str:
        """Requests structured output by the schema; an endpoint that does not support it rejects the request."""
        if self._keeps_to_schema is not False:
            try:
                answer = self._chat.ask(messages, temperature=self._temperature, response_format=response_format())
            except NoAnswer as error:
                if self._keeps_to_schema or error.status not in (400, 415, 422, 501):
                    raise
            else:
                self._keeps_to_schema = True
                return answer
        answer = self._chat.ask(messages, temperature=self._temperature)
        self._keeps_to_schema = False
        return answer
