"""Questions and answers about real recordings, as dialogues: the paper's way to put real voices on the user channel.

For each recording in an ASR cut set, an LLM reads the transcript and writes a question about it and the answer, along
with the words of the transcript that support the answer (arXiv 2505.15670, section 3, uses an LLM this way; its
prompt is not published, this one is ours). In the dialogue, the user speaks the recording, then asks the question in
a synthesized voice, and the agent answers.

Paid answers are saved in OUT.part as they arrive, so a stopped run resumes from there.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhotse import CutSet, MonoCut

from manifests.errors import RequestError, WorkError
from manifests.files import write_whole
from manifests.progress import Progress
from manifests.recordings import MAX_SECONDS, parse_recording
from manifests.records import BadDialogue
from manifests.words import words_of
from salm_duplex_model.chat import Chat

PROMPT = (
    "Below is what somebody said. Write one question that they might ask a voice assistant about it, and the assistant's "
    "answer. The answer must follow from what was said and from nothing else. Both are spoken: plain sentences, no lists, no "
    "symbols, at most 25 words for the question and 40 for the answer. Reply with one JSON object and nothing else: "
    '{"question": "…", "answer": "…", "evidence": "…"}, where evidence is a short part of what was said, word for word, '
    "that the answer is taken from."
)
MAX_QUESTION_WORDS, MAX_ANSWER_WORDS, MIN_EVIDENCE_WORDS = 40, 60, 2
GROUNDED = 0.5
"""At least this share of an answer's content words must occur in the transcript or the question."""
MAX_TOKENS = 300
TRIES = 2

_COMMON = frozenset(
    words_of(
        "a about after all also am an and any are as at be because been before but by can could did do does for from had has have "
        "he her hers him his how i if in into is it its just me more most my no nor not of on one only or other our out over said "
        "say says she should so some such than that the their them then there these they this those to too under until up us very "
        "was we were what when where which while who whom why will with would yes you your speaker",
    )
)
"""Words that any answer may contain."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    cuts: Path
    out: Path
    url: str
    model: str
    pairs: int = 2
    """Questions per dialogue: the paper joins single ones in pairs."""
    limit: int | None = None
    min_words: int = 6
    concurrency: int = 4


@dataclass(frozen=True, slots=True)
class Written:
    """The result: dialogues, the questions in them, and how many cuts were skipped, by reason."""

    dialogues: int
    questions: int
    left_out: dict[str, int]


def write_dialogues(request: Request, progress: Progress) -> Written:
    """Write OUT and, for the skipped cuts, OUT.rejected.jsonl.

    Raises `RequestError` if the cuts can't be read or OUT exists, `WorkError` if the endpoint fails; answers received
    until then are kept.
    """
    if request.out.exists():
        raise RequestError(f"{request.out} exists; name another --out, or delete it.")
    cuts = _read_cuts(request.cuts, request.limit)
    part = request.out.with_name(f"{request.out.name}.part")
    try:
        request.out.parent.mkdir(parents=True, exist_ok=True)
        answered = _resume(part, request)
        _ask_all(cuts, answered, part, request, progress)
        rows = [answered[cut.id] for cut in cuts]
        dialogues = list(_join(cuts, rows, request.pairs))
        rejected = [row for row in rows if "reason" in row]
        _write(request.out.with_name(f"{request.out.name}.rejected.jsonl"), rejected)
        _write(request.out, dialogues)
        part.unlink()
    except OSError as error:
        raise WorkError(f"{request.out} can't be written: {error.strerror or error}.") from error
    questions = len(rows) - len(rejected)
    return Written(len(dialogues), questions, dict(sorted(Counter(row["reason"] for row in rejected).items())))


def _read_cuts(path: Path, limit: int | None) -> list[MonoCut]:
    if not path.is_file():
        raise RequestError(f"The cut set {path} does not exist; name a Lhotse cuts manifest, such as cuts.jsonl.gz.")
    try:
        cuts = CutSet.from_file(path)
        found = list(cuts.subset(first=limit) if limit else cuts)
    except Exception as error:  # Lhotse passes on whatever its parts raise
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise RequestError(
            f"{path} is not a readable Lhotse cut set ({reason}); name a Lhotse cuts manifest."
        ) from None
    if not found:
        raise RequestError(f"{path} contains no cuts; name a Lhotse cuts manifest with transcripts.")
    if repeated := [id for id, n in Counter(cut.id for cut in found).items() if n > 1]:
        raise RequestError(
            f"{path} has the id {repeated[0]} more than once; make the ids unique, since a stopped run resumes by them."
        )
    return found


def _resume(part: Path, request: Request) -> dict[str, Row]:
    """The answers left by an earlier run, by cut; a last line truncated by a kill is requested again."""
    asked = {
        "model": request.model,
        "prompt": hashlib.sha256(PROMPT.encode()).hexdigest()[:12],
        "min": request.min_words,
    }
    header = json.dumps(asked)
    if not part.is_file():
        part.write_text(header + "\n", "utf-8")
        return {}
    first, *lines = part.read_text("utf-8").split("\n")
    if first != header:
        raise RequestError(f"{part} was started with other settings; use those, or delete it.")
    if lines[-1:] != [""]:
        part.write_text("\n".join([first, *lines[:-1], ""]), "utf-8")
    rows = (json.loads(line) for line in lines[:-1])
    return {row["cut"]: row for row in rows}


def _ask_all(
    cuts: list[MonoCut],
    answered: dict[str, Row],
    part: Path,
    request: Request,
    progress: Progress,
) -> None:
    chat = Chat(request.url, request.model, "chat endpoint", connections=request.concurrency)
    todo = [cut for cut in cuts if cut.id not in answered]
    done = len(cuts) - len(todo)
    with part.open("a", encoding="utf-8") as kept, ThreadPoolExecutor(request.concurrency) as pool:
        # In small batches: when the endpoint fails, few requests are in flight.
        for at in range(0, len(todo), lot := 2 * request.concurrency):
            failure: WorkError | None = None
            for future in as_completed(
                [pool.submit(_row, cut, chat, request.min_words) for cut in todo[at : at + lot]]
            ):
                try:
                    row = future.result()
                except WorkError as error:
                    failure = error
                    continue
                answered[row["cut"]] = row
                kept.write(json.dumps(row, ensure_ascii=False) + "\n")
                done += 1
            kept.flush()
            progress(done, len(cuts), "questions")
            if failure is not None:
                raise WorkError(
                    f"{failure} {done} of {len(cuts)} cuts are done and kept; rerun the same command to resume."
                )


def _row(cut: MonoCut, chat: Chat, min_words: int) -> Row:
    """A question and its answer, or the reason why there is none."""
    try:
        transcript = _transcript(cut, min_words)
        return {"cut": cut.id, **_question(transcript, chat)}
    except BadDialogue as error:
        return {"cut": cut.id, "reason": error.reason, "message": str(error)}


def _transcript(cut: Any, min_words: int) -> str:
    if not isinstance(cut, MonoCut) or not cut.has_recording:
        raise BadDialogue("not_one_recording", "The cut is mixed or has no recording; save it as one.")
    parse_recording(_plain(cut))  # a source that a dialogue can't name is reported now
    text = transcript_of(cut)
    if cut.duration > MAX_SECONDS:
        raise BadDialogue("too_long", f"It lasts {cut.duration:.0f} s; a turn may last at most {MAX_SECONDS} s.")
    if (words := len(text.split())) < min_words:
        raise BadDialogue("too_short", f"Its transcript has {words} words, under the {min_words} of --min-words.")
    return text


def transcript_of(cut: MonoCut) -> str:
    """The words spoken in a cut. All-caps transcripts are lowercased: capitals would be spelled out."""
    text = " ".join(" ".join((s.text or "").split()) for s in sorted(cut.supervisions, key=lambda s: s.start)).strip()
    return text.lower() if text.isupper() else text


def _question(transcript: str, chat: Chat) -> Row:
    """Asks again, with the reason, if the answer can't be used."""
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": transcript}]
    for attempt in range(1, TRIES + 1):
        answer = chat.ask(messages, MAX_TOKENS)
        try:
            return checked(answer, transcript)
        except BadDialogue as error:
            if attempt == TRIES:
                raise
            messages += [
                {"role": "assistant", "content": answer},
                {"role": "user", "content": f"That can't be used: {error} Reply with the JSON object alone."},
            ]
    raise AssertionError("the last try returns or raises")


def checked(answer: str, transcript: str) -> Row:
    """`question` and `answer` from an LLM's reply; raises `BadDialogue` if it has the wrong form or is not grounded.

    The evidence must be a verbatim part of the transcript. Half of the answer's content words must occur in the
    transcript or the question, and so must all its numbers; at least one word must be from the transcript."""
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        reply = json.loads(found[0]) if found else None
    except ValueError:
        reply = None
    keys = ("question", "answer", "evidence")
    if not isinstance(reply, dict) or not all(isinstance(reply.get(k), str) and reply[k].strip() for k in keys):
        raise BadDialogue("not_as_asked", f"It is not a JSON object with the texts {', '.join(keys)}.")
    question, spoken, evidence = (" ".join(reply[key].split()) for key in keys)
    for name, text, most in (("question", question, MAX_QUESTION_WORDS), ("answer", spoken, MAX_ANSWER_WORDS)):
        if (words := len(text.split())) > most:
            raise BadDialogue("too_wordy", f"The {name} has {words} words, over {most}.")
    if not question.endswith("?"):
        raise BadDialogue("no_question", "The question does not end with a question mark.")
    said, quoted = words_of(transcript), words_of(evidence)
    if len(quoted) < MIN_EVIDENCE_WORDS or f" {' '.join(quoted)} " not in f" {' '.join(said)} ":
        raise BadDialogue("no_evidence", "The evidence is not a word-for-word part of what was said.")
    telling = [word for word in words_of(spoken) if word not in _COMMON]
    known = {*said, *words_of(question)}
    numbers = [word for word in telling if any(c.isdigit() for c in word) and word not in said]
    grounded = sum(word in known for word in telling)
    if numbers or grounded < GROUNDED * len(telling) or not {*said} & {*words_of(spoken)}:
        raise BadDialogue("not_grounded", "The answer contains what was not said.")
    return {"question": question, "answer": spoken}


def _join(cuts: Iterable[MonoCut], rows: Iterable[Row], pairs: int) -> Iterator[Row]:
    """Dialogues of `pairs` recordings each, in the order of the cuts; all recordings of a dialogue have one speaker."""
    of_speaker: dict[str, list[tuple[MonoCut, Row]]] = {}
    for cut, row in zip(cuts, rows, strict=True):
        if "reason" not in row:
            speaker = next((s.speaker for s in cut.supervisions if s.speaker), "")
            of_speaker.setdefault(speaker, []).append((cut, row))
    for asked in of_speaker.values():
        for at in range(0, len(asked), pairs):
            group, turns = asked[at : at + pairs], list[Row]()
            for cut, row in group:
                turns += [
                    {"speaker": "user", "text": transcript_of(cut), "recording": _plain(cut)},
                    {"speaker": "user", "text": row["question"]},
                    {"speaker": "agent", "text": row["answer"]},
                ]
            yield {"id": f"asr-qa-{group[0][0].id}", "turns": turns}


def _plain(cut: MonoCut) -> Row:
    """The cut as JSON, reduced to what a turn needs; file paths are absolute, so the dialogues can be anywhere."""
    plain: Row = cut.drop_features().to_dict()
    plain.pop("custom", None)
    for supervision in plain.get("supervisions", []):
        supervision.pop("custom", None)
    for source in plain["recording"]["sources"]:
        if source["type"] == "file":
            source["source"] = os.path.abspath(source["source"])
    return plain


def _write(path: Path, rows: list[Row]) -> None:
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
