"""The user of a closed loop: says the lines of a script live, frame by frame, and reacts to the agent's text channel.

* The next turn starts after the agent has fallen silent (EOS) and the labeled gap has passed. While the agent speaks,
  no turn starts.
* A barge-in, backchannel or false start comes at its labeled delay after the actual start of the agent's turn (BOS), if
  the agent still speaks. If it does not, a barge-in becomes a turn, a median gap after the agent's end, and a
  backchannel or false start is left out.
* If no answer comes within `PATIENCE_S`, the user says the next turn. If the labels have a second answer after a
  silence ("are you still there?"), the user waits for it as long as in the labels.
* If the agent talks into a turn, the user keeps talking. Speech that the agent starts during the turn and continues
  beyond it counts as the answer.
* If the next turn or the end can't come within `HANGS_UP_S` more than the labels took, the user hangs up.

The user reacts to the agent's token of the current frame, and lines start at exact samples.
"""

from dataclasses import dataclass

import numpy as np

from manifests.frames import FRAMES_PER_SECOND, SOURCE_FRAME, SOURCE_RATE, frames_to_cover, to_samples
from manifests.records import Event, Span
from manifests.text_channel import SpecialTokens
from salm_duplex_model.evaluation.metrics import TAIL_S
from salm_duplex_model.evaluation.script import Answer, Exchange, Line, Script

PATIENCE_S = 4.0
HANGS_UP_S = 30.0
TAIL_FRAMES = round(TAIL_S * FRAMES_PER_SECOND)


@dataclass(slots=True)
class AgentTurn:
    """A turn in samples at 16 kHz; `end` is None while it lasts."""

    start: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A line and when it was said, in samples at 16 kHz; `event` is the event that it became."""

    line: Line
    start: int
    event: Event

    @property
    def end(self) -> int:
        return self.start + len(self.line.sound)


@dataclass(frozen=True, slots=True)
class Expected:
    """A turn of the reference agent, at the time it would have in the actual conversation, in samples at 16 kHz.
    `planned_end` is its end if the user did not speak earlier."""

    answer: Answer
    start: int
    end: int
    planned_end: int


class LiveUser:
    """One conversation. `said`, `expected` and `noises` are the labels of the conversation so far; `planned` are the
    times at which the user would speak during the agent's turns if they lasted, in samples."""

    def __init__(self, script: Script, special: SpecialTokens) -> None:
        self.script = script
        self.said: list[Said] = []
        self.expected: list[Expected] = []
        self.planned: list[int] = []
        self.noises: list[Span] = []
        self.frames: int | None = None
        """Length of the conversation with its tail; None until it is known."""
        self._special = special
        self._agent: list[AgentTurn] = []
        self._now = 0
        self._place = 0  # index of the exchange
        self._since = self._until = 0  # start and end of its line
        self._asides = 0  # how many of its asides were said, or left out because the agent was silent
        self._bed_at = 0

    @property
    def over(self) -> bool:
        return self.frames is not None and self._now >= self.frames * SOURCE_FRAME

    @property
    def exchange(self) -> Exchange:
        return self.script.exchanges[self._place]

    @property
    def line_end(self) -> int:
        """End of the user's current or last turn, in samples."""
        return self._until

    def frame(self, token: int) -> np.ndarray:
        """The user's next frame, float32 (1 280,), given the agent's `token` of the same frame."""
        self._listen(token)
        if self.frames is None:
            self._say_asides()
            self._say_next()
        samples = self._sound()
        self._now += SOURCE_FRAME
        return samples

    def answers(self) -> list[AgentTurn]:
        """The agent's turns that started after the user's line did and did not end before it."""
        own = (turn for turn in self._agent if turn.start >= self._since)
        return [turn for turn in own if turn.end is None or turn.end > self._until]

    def kept(self) -> dict[str, list[float]]:
        """Samples (0 or 1) of how closely the script was followed: for each turn and side talk, whether it was said;
        for each barge-in that was said, whether the agent still spoke; for each backchannel and false start, whether it
        was said."""
        turns = sum(exchange.line is not None for exchange in self.script.exchanges)
        asides = sum(len(answer.asides) for exchange in self.script.exchanges for answer in exchange.answers)
        made = [said.event == "barge_in" for said in self.said if said.line.event == "barge_in"]
        turns_said, asides_said = self._place, len(self.said) - self._place
        return {
            "script_turns_said_rate": [1.0] * turns_said + [0.0] * (turns - turns_said),
            "script_barge_ins_made_rate": [float(one) for one in made],
            "script_asides_said_rate": [1.0] * asides_said + [0.0] * (asides - asides_said),
        }

    def _listen(self, token: int) -> None:
        speaking = self._speaking()
        if token == self._special.bos and not speaking:
            self._agent.append(AgentTurn(self._now))
        elif token == self._special.eos and speaking:
            self._agent[-1].end = self._now

    def _speaking(self) -> bool:
        return bool(self._agent) and self._agent[-1].end is None

    def _say_asides(self) -> None:
        window, own = self._now + SOURCE_FRAME, self.answers()
        due = [(number, line) for number, answer in enumerate(self.exchange.answers) for line in answer.asides]
        for number, line in due[self._asides :]:
            if number >= len(own) or own[number].start + line.delay >= window:
                return
            start = max(own[number].start + line.delay, self._now)
            if own[number].end is None and start >= self._free():
                self.said.append(Said(line, start, line.event))
            self._asides += 1

    def _say_next(self) -> None:
        """Say the next line if it is due, or end the conversation."""
        window = self._now + SOURCE_FRAME
        line = self._next_line()
        due = None if self._until >= window else self._due(line)
        if due is not None and (start := max(due[0], self._now, self._free())) < window:
            self._close(start, due[1])
            if line is None:
                self.frames = frames_to_cover(start, SOURCE_FRAME) + TAIL_FRAMES
                return
            self.said.append(Said(line, start, due[1]))
            self._place, self._asides = self._place + 1, 0
            self._since, self._until = start, start + len(line.sound)
        elif self._now > self._until + self.exchange.span + to_samples(HANGS_UP_S, SOURCE_RATE):
            self._close(self._now, "turn")
            self.frames = self._now // SOURCE_FRAME + 1

    def _due(self, line: Line | None) -> tuple[int, Event] | None:
        """When the next line starts, and as which event, if the agent does nothing until then; for `line` None, when
        the conversation ends. None while the user waits for the agent to fall silent."""
        own, wanted = self.answers(), len(self.exchange.answers)
        barges_in = line is not None and line.event == "barge_in"
        onset = self._barge_in_onset(line)
        if onset is not None and own[wanted - 1].end is None:
            return onset, "barge_in"
        if self._speaking():
            return None
        last = self._agent[-1].end if self._agent else None
        quiet = max(self._until, last or 0)
        event: Event = "turn" if line is None or barges_in else line.event
        if wanted and not own:
            return quiet + to_samples(PATIENCE_S, SOURCE_RATE), event
        if len(own) < wanted:
            return quiet + self.exchange.answers[len(own) - 1].rest, event
        if line is None:
            return quiet + self.script.tail, event
        # A labeled start before the agent's end can't be foreseen: the user starts at once.
        return quiet + (self.script.gap if barges_in else max(line.delay, 0)), event

    def _close(self, until: int, event: Event) -> None:
        """Place the reference's turns of this exchange, which ends at `until`: each starts at its labeled gap after the
        previous turn, and ends as if it had started together with the agent's turn."""
        own, answers, before = self.answers(), self.exchange.answers, self._until
        for number, answer in enumerate(answers[: len(own) + 1]):
            given = own[number] if number < len(own) else None
            start = min(before + answer.delay, until - SOURCE_FRAME)
            end = planned_end = (given.start if given else start) + answer.length
            if number + 1 < len(answers) and given and given.end is not None:
                end = given.end  # from then on, the agent may ask again
            if event != "barge_in":
                end = min(end, until)
            self.expected.append(Expected(answer, start, max(end, start + SOURCE_FRAME), planned_end))
            before = end
        for answer, given in zip(answers, own, strict=False):
            self.planned += [given.start + line.delay for line in answer.asides]
        onset = self._barge_in_onset(self._next_line())
        if onset is not None:
            self.planned.append(onset)

    def _barge_in_onset(self, line: Line | None) -> int | None:
        """When `line` barges in on the agent's last answer of this exchange, if it does and the answer has begun."""
        own, wanted = self.answers(), len(self.exchange.answers)
        if line is None or line.event != "barge_in" or not 0 < wanted <= len(own):
            return None
        return own[wanted - 1].start + line.delay

    def _next_line(self) -> Line | None:
        following = self.script.exchanges[self._place + 1 :]
        return following[0].line if following else None

    def _free(self) -> int:
        return self.said[-1].end if self.said else 0

    def _sound(self) -> np.ndarray:
        samples = np.zeros(SOURCE_FRAME, dtype=np.float32)
        silent = np.ones(SOURCE_FRAME, dtype=bool)
        for said in self.said[-2:]:
            first, last = (min(max(at - self._now, 0), SOURCE_FRAME) for at in (said.start, said.end))
            if last > first:
                begin = self._now + first - said.start
                samples[first:last] = said.line.sound[begin : begin + last - first]
                silent[first:last] = False
        places = np.flatnonzero(silent)
        at = (self._bed_at + np.arange(len(places))) % len(self.script.bed)
        samples[places] = self.script.bed[at]
        self._bed_at += len(places)
        for burst in self.script.bursts:
            self.noises += [Span(self._now + int(places[n]), burst.length) for n in np.flatnonzero(at == burst.start)]
        return samples
