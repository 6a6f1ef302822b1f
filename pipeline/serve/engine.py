"""One clock, one batch: every 80 ms one step of the session, over all conversations that go on.

A conversation whose user frame has not come hears silence for that frame, as at the other end of a bad line. Where nobody
talks nothing is computed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from manifests.frames import FRAME_SECONDS, SOURCE_FRAME
from manifests.pcm import to_float, to_int16
from salm_duplex_model.session import Session

QUEUE_FRAMES = 25
"""User frames that may wait: 2 s."""
JITTER_FRAMES = 3
"""What may go on waiting after the line has stalled; a greater delay is made up for by leaving frames out."""
PATIENCE_SECONDS = 1.0
"""So far a clock that is behind catches up; what it is behind more than that is left out."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one step gives one conversation: its frame, the user's frame it heard (None: silence), 1 764 samples of int16
    and the text token of the frame to come."""

    frame: int
    heard: int | None
    audio: np.ndarray
    token: int
    step_ms: float


class Conversation:
    """The user's frames on their way in, and where the agent's go."""

    def __init__(self, deliver: Callable[[Spoken], None]) -> None:
        """`deliver` is called on the event loop, once a step, and must not wait."""
        self.deliver = deliver
        self.late = 0
        """Frames for which none of the user's was heard: it had not come, or the clock had to leave them out."""
        self._frame = 0
        self._arrived = 0
        self._waiting: deque[tuple[int, np.ndarray]] = deque(maxlen=QUEUE_FRAMES)
        self._missed = 0

    def hear(self, samples: np.ndarray) -> None:
        """A frame of the user, 1 280 samples of int16. Where the server can't keep up, the longest waiting one is dropped."""
        self._waiting.append((self._arrived, samples))
        self._arrived += 1
        # What was heard as silence is over: heard later, it would delay all that follows.
        while self._missed and len(self._waiting) > JITTER_FRAMES:
            self._waiting.popleft()
            self._missed -= 1

    def miss(self, frames: int) -> None:
        """So many frames have gone by unheard."""
        self._missed += frames
        self.late += frames

    def next(self) -> tuple[int, int | None, np.ndarray]:
        """The number of the conversation's next frame, the user's frame that it hears, and its samples."""
        frame, self._frame = self._frame, self._frame + 1
        if self._waiting:
            return frame, *self._waiting.popleft()
        self.miss(1)
        return frame, None, np.zeros(SOURCE_FRAME, dtype=np.int16)


class Engine:
    """Conversations are the rows of one session, in the order in which they came."""

    def __init__(self, session: Session) -> None:
        """`session` has no rows yet."""
        self._session = session
        self._rows: list[Conversation] = []
        self._present: list[Conversation] = []
        self._somebody = asyncio.Event()
        # The session is touched by this one thread alone, so the event loop is free while a step is computed.
        self._thread = ThreadPoolExecutor(1, "session")

    def add(self, conversation: Conversation) -> None:
        self._present.append(conversation)
        self._somebody.set()

    def remove(self, conversation: Conversation) -> None:
        """It is given nothing more; to remove one that is not there is no mistake."""
        if conversation in self._present:
            self._present.remove(conversation)
        if not self._present:
            self._somebody.clear()

    async def run(self) -> None:
        """Step until canceled."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._warm_up)
            while True:
                await self._somebody.wait()
                due = loop.time()
                while self._present:
                    begun = loop.time()
                    await self._step(loop)
                    due += FRAME_SECONDS
                    if (behind := loop.time() - due) > PATIENCE_SECONDS:
                        skipped = int(behind / FRAME_SECONDS)
                        due += skipped * FRAME_SECONDS
                        for conversation in self._present:
                            conversation.miss(skipped)
                    # A late clock catches up at twice the pace, not all at once.
                    await asyncio.sleep(max(due, begun + FRAME_SECONDS / 2) - loop.time())
        finally:
            self._thread.shutdown(wait=True)

    async def _step(self, loop: asyncio.AbstractEventLoop) -> None:
        present = list(self._present)
        frames, heard, user = zip(*(conversation.next() for conversation in present), strict=True)
        audio, tokens, step_ms = await loop.run_in_executor(self._thread, self._compute, present, np.stack(user))
        for row, conversation in enumerate(present):
            if conversation in self._present:  # it may have left meanwhile
                conversation.deliver(Spoken(frames[row], heard[row], audio[row], tokens[row], step_ms))

    def _compute(self, present: list[Conversation], user: np.ndarray) -> tuple[np.ndarray, list[int], float]:
        begun = time.perf_counter()
        self._seat(present)
        agent = self._session.step(torch.from_numpy(to_float(user)))
        samples = to_int16(agent.numpy())
        return samples, self._session.text.tolist(), 1000 * (time.perf_counter() - begun)

    def _seat(self, present: list[Conversation]) -> None:
        """Make the session's rows those of `present`: who is new comes last there too."""
        for row in reversed(range(len(self._rows))):
            if self._rows[row] not in present:
                self._session.leave(row)
                del self._rows[row]
        for conversation in present[len(self._rows) :]:
            self._session.join()
            self._rows.append(conversation)

    def _warm_up(self) -> None:
        """The first steps of a process are slow: nobody is to wait for them."""
        self._session.join()
        for _ in range(3):
            self._session.step(torch.zeros(1, SOURCE_FRAME))
        self._session.leave(0)
