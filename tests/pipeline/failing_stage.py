"""A user's own stages that fail, for a build in another process to import."""

import os
import signal

from stages.base import Stage


class FailingRender(Stage):
    def process(self, records):
        raise RuntimeError("the room is on fire")


class CrashingRender(Stage):
    """Native code may take a whole process down."""

    def process(self, records):
        os.kill(os.getpid(), signal.SIGSEGV)
        return records


class LoadedCrashingRender(CrashingRender):
    loads = True
