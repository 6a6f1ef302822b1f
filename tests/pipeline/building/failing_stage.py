"""A user's own stages that fail, for a build in another process to import."""

import os
import signal

from stages.render import Render


class FailingRender(Render):
    def process(self, records):
        raise RuntimeError("the room is on fire")


class PickyRender(Render):
    """Renders but for two dialogues: over one it raises, over one it never ends."""

    def process(self, records):
        for record in records:
            if record.spoken.dialogue.id == "raise":
                raise RuntimeError("the room is on fire")
            while record.spoken.dialogue.id == "hang":
                pass
        return super().process(records)


class UnpreparedRender(Render):
    def setup(self):
        raise OSError("the room is locked")


class CrashingRender(Render):
    """Native code may take a whole process down."""

    def process(self, records):
        os.kill(os.getpid(), signal.SIGSEGV)
        return records
