"""A director that is an LLM, behind any OpenAI-compatible chat endpoint.

It gets the dialogue with its words numbered, and answers with a script as JSON. An answer that can't be used is told
why and asked for once more; then the dialogue stays as it was, and the reason is counted. What it has answered is
kept in a cache, useful or not, so that a build that was stopped, or is run again, asks nothing twice and makes the
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
"""After so many requests without an answer, and none with one between them, the endpoint is taken to be down."""
REFUSED = "\0refused"
"""What the cache keeps of a dialogue that the endpoint refuses to answer about, as a filter of contents may."""
PROBE = [{"role": "user", "content": 'Reply with this JSON object and nothing else: {"events": []}'}]

Messages = list[dict[str, str]]


class ChatSettings(DirectorSettings):
    url: str = Field(default="https://api.openai.com/v1", description="the endpoint's base address")
    model: str = Field(min_length=1, description="the endpoint's name of the model")
    temperature: float | None = Field(
        default=0, ge=0, le=2, description="null leaves it to the endpoint, as some models want"
    )
    wishes: str = Field(
        default="", description="what the model is told besides, such as how often this user interrupts"
    )
    key_env: str = Field(default=KEY, description="the environment variable that holds the key, if any")
    # How the endpoint is asked does not decide the corpus's content.
    at_once: int = Field(default=4, ge=1, le=256, exclude=True, description="requests under way at any time, a worker")
    timeout_s: float = Field(
        default=60, gt=0, exclude=True, description="an endpoint silent for so long has not answered"
    )
    retries: int = Field(default=3, ge=0, le=20, exclude=True)
    back_off_s: float = Field(default=0.5, ge=0, exclude=True, description="before the second retry; doubles each time")
    cache: str = Field(
        default_factory=lambda: cache_folder("director"),
        exclude=True,
        description="a folder or URL to keep answers in",
    )

    @model_validator(mode="after")
    def _address_without_secrets(self) -> "ChatSettings":
        # Of the whole model and not of the field, whose value, maybe with a key in it, would be shown with the error.
        check_address(self.url)
        return self


class ChatDirector(Director[ChatSettings]):
    """Direct by an LLM. One worker asks about `at_once` dialogues at a time."""

    resources = Resources(cpus=0.1, concurrency=1, timeout_s=1_800)

    @classmethod
    def check(cls, settings: ChatSettings) -> None:
        """Asks one small thing, whose answer the cache keeps: so a wrong key or model is known before any work."""
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
        self._lock = threading.Lock()  # the grammar that reads what is said is one for all threads

    def made_by(self) -> dict[str, str]:
        return {"prompt": digest({"system": self._system})}

    def scripts(self, dialogues: Sequence[Dialogue]) -> list[Script | Unusable]:
        """Raises `WorkError` if the endpoint is at fault and not a dialogue: it is not there, or answers nothing."""
        seen = [numbered(lines_of(dialogue)) for dialogue in dialogues]
        distinct = dict(zip(seen, dialogues, strict=True))  # takes of a dialogue are asked about once
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
                            raise WorkError(f"{error} So it was {failures} times in a row.") from None
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
        """The first answer that can be used, else the last one."""
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
    """The endpoint, and what it has answered before."""

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
        """Holds the model to the schema where the endpoint can do so; one that does not know how refuses the request."""
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
