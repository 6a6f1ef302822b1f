"""`salm-duplex vad train`: a voice activity model for `verify`, from renderings made for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.errors import RequestError, WorkError
from manifests.progress import Progress
from manifests.records import DuplexDialogue, Rejected
from pipeline.codec import BUNDLED_DIALOGUES
from pipeline.recipe import Recipe
from stages.ears.vad import installed
from stages.ears.vad.train import train_vad
from stages.ingest import ingest

BUNDLED_RECIPE = Path(__file__).parent / "data" / "voice_activity.yaml"


def train(inputs: Sequence[str], out: Path, recipe: Recipe, steps: int, progress: Progress) -> None:
    """Render dialogue files (default: the bundled ones) with a recipe, and train on them."""
    if not installed():
        raise RequestError("Training needs pyannote.audio: pip install '.[pyannote]'.")
    progress(0, steps, "rendering")
    records = rendered(inputs or [str(BUNDLED_DIALOGUES)], recipe)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        train_vad(records, out, steps, recipe.seed, progress)
    except ValueError as error:
        raise RequestError(f"{error}.") from None
    except OSError as error:
        raise WorkError(f"The model could not be written to {out}: {error.strerror or error}.") from error


def rendered(inputs: Sequence[str], recipe: Recipe) -> list[DuplexDialogue]:
    """The rendered dialogues of a recipe, without the rejected ones."""
    read = ingest(inputs, recipe.ingest, recipe.seed)
    records: list[Any] = [result for result in read if not isinstance(result, Rejected)]
    for spec in recipe.stages:
        stage = spec.make(recipe.seed)
        records = [record for record in stage.process(records) if not isinstance(record, Rejected)]
        if issubclass(spec.types.gives, DuplexDialogue):
            break
    return records
