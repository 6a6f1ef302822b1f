"""A user's own stage that fails, for a build in another process to import."""

from stages.base import Stage


class FailingRender(Stage):
    def process(self, records):
        raise RuntimeError("the room is on fire")
