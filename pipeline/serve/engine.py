"""One clock, one batch: every 80 ms one step of the session, for all active conversations.

A conversation whose user frame has not arrived hears silence for that frame, as on a bad line. Without
conversations, nothing is computed.
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
"""Maximum number of queued user frames: 2 s."""
JITTER_FRAMES = 3
"""Queued frames tolerated after the line has stalled; a longer delay is reduced by dropping frames."""
PATIENCE_SECONDS = 1.0
"""How far a late clock catches up; any lag beyond that is skipped."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The result of one step for one conversation: its frame, the user's frame it heard (None: silence), 1 764 int16
    samples and the text token of the next frame."""

    frame: int
    heard: int | None
    audio: np.ndarray
    token: int
    step_ms: float


class Conversation:
    """The queue of the user's frames, and where the agent's frames go."""

    def __init__(self, deliver: Callable[[Spoken], None]) -> None:
        """`deliver` is called on the event loop, once per step, and must not block."""
        self.deliver = deliver
        self.late = 0
        """Frames without user audio: it had not arrived, or the clock had to skip them."""
        self._frame = 0
        self._arrived = 0
        self._waiting: deque[tuple[int, np.ndarray]] = deque(maxlen=QUEUE_FRAMES)
        self._missed = 0

    def hear(self, samples: np.ndarray) -> None:
        """Queue a user frame, 1 280 int16 samples. If the server can't keep up, the oldest one is dropped."""
        self._waiting.append((self._arrived, samples))
        self._arrived += 1
        # Frames already replaced by silence are dropped: played late, they would delay everything after them.
        while self._missed and len(self._waiting) > JITTER_FRAMES:
            self._waiting.popleft()
            self._missed -= 1

    def miss(self, frames: int) -> None:
        """Skip this many frames."""
        self._missed += frames
        self.late += frames

    def next(self) -> tuple[int, int | None, np.ndarray]:
        """The number of the conversation's next frame, the number of the user's frame it hears, and that frame's
        samples."""
        frame, self._frame = self._frame, self._frame + 1
        if self._waiting:
            return frame, *self._waiting.popleft()
        self.miss(1)
        return frame, None, np.zeros(SOURCE_FRAME, dtype=np.int16)


class Engine:
    """Conversations are the rows of one session, in order of arrival."""

    def __init__(self, session: Session) -> None:
        """`session` must be empty."""
        self._session = session
        self._rows: list[Conversation] = []
        self._present: list[Conversation] = []
        self._somebody = asyncio.Event()
        # Only this thread touches the session, so the event loop is free while a step is computed.
        self._thread = ThreadPoolExecutor(1, "session")

    def add(self, conversation: Conversation) -> None:
        self._present.append(conversation)
        self._somebody.set()

    def remove(self, conversation: Conversation) -> None:
        """Stop serving a conversation; does nothing if it is not present."""
        if conversation in self._present:
            self._present.remove(conversation)
        if not self._present:
            self._somebody.clear()

    async def run(self) -> None:
        """Run steps until canceled."""
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
            if conversation in self._present:  # it may have left in the meantime
                conversation.deliver(Spoken(frames[row], heard[row], audio[row], tokens[row], step_ms))

    def _compute(self, present: list[Conversation], user: np.ndarray) -> tuple[np.ndarray, list[int], float]:
        begun = time.perf_counter()
        self._seat(present)
        agent = self._session.step(torch.from_numpy(to_float(user)))
        samples = to_int16(agent.numpy())
        return samples, self._session.text.tolist(), 1000 * (time.perf_counter() - begun)

    def _seat(self, present: list[Conversation]) -> None:
        """Make the session's rows match `present`: new ones come last there too."""
        for row in reversed(range(len(self._rows))):
            if self._rows[row] not in present:
                self._session.leave(row)
                del self._rows[row]
        for conversation in present[len(self._rows) :]:
            self._session.join()
            self._rows.append(conversation)

    def _warm_up(self) -> None:
        """Run the first steps of the process, which are slow, before anyone connects."""
        self._session.join()
        for _ in range(3):
            self._session.step(torch.zeros(1, SOURCE_FRAME))
        self._session.leave(0)
