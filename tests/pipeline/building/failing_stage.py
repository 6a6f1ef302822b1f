"""Custom stages that fail, imported by a build in another process."""

import os
import signal

from stages.render import Render


class FailingRender(Render):
    def process(self, records):
        raise RuntimeError("the room is on fire")


class PickyRender(Render):
    """Renders all but two dialogues: it raises on one and never returns on the other."""

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
    """Native code may crash the whole process."""

    def process(self, records):
        os.kill(os.getpid(), signal.SIGSEGV)
        return records
