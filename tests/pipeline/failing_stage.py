"""A user's own stages that fail, for a build in another process to import."""

import os
import signal

from manifests.records import DuplexDialogue, Timeline
from stages.base import Settings, Stage


class FailingRender(Stage[Timeline, DuplexDialogue, Settings]):
    def process(self, records):
        raise RuntimeError("the room is on fire")


class CrashingRender(Stage[Timeline, DuplexDialogue, Settings]):
    """Native code may take a whole process down."""

    def process(self, records):
        os.kill(os.getpid(), signal.SIGSEGV)
        return records


class LoadedCrashingRender(CrashingRender):
    def setup(self):
        """Nothing, but the stage lives in an actor for it."""
