"""tokenize with a NeMo codec: NanoCodec by its name on the hub, or a `.nemo` file, such as a personalized one."""

from importlib.metadata import version

from pydantic import Field, field_validator

from manifests.frames import FRAME_SECONDS
from salm_duplex_model.codec.nemo import NANO_CODEC, NemoCodec, check_file
from salm_duplex_model.nemo_files import check_name, is_file_name, is_hub_name
from stages.tokenize import Tokenizer, TokenizerSettings

GPU_BATCH_FRAMES = 750
CPU_BATCH_FRAMES = 200
"""A CPU takes twice the time in batches of 4 000, which its caches do not hold."""


class NemoTokenizeSettings(TokenizerSettings):
    codec: str = Field(default=NANO_CODEC, description="a NeMo codec's name on the hub, or the path of a .nemo file")
    batch_seconds: float | None = Field(
        default=None,
        gt=0,
        description="audio in one batch, padding included, the codes are the same: by default 60 on a GPU, and 16 on a CPU, "
        "where more takes longer",
    )

    @field_validator("codec")
    @classmethod
    def _is_usable(cls, codec: str) -> str:
        """As much as can be known before any work, without loading it."""
        check_name(codec, check_file, "a NeMo codec")
        if not (is_file_name(codec) or is_hub_name(codec)):
            raise ValueError(f"it must be the path of a .nemo file, or a name on the hub such as {NANO_CODEC}")
        return codec


class NemoTokenizer(Tokenizer[NemoTokenizeSettings]):
    """A NeMo codec, on the GPU where the worker was given one (`resources: {gpus: 0.25}`), else on the CPU."""

    batch_frames = CPU_BATCH_FRAMES

    def made_by(self) -> dict[str, str]:
        return super().made_by() | {"nemo_toolkit": version("nemo_toolkit")}

    def load_codec(self) -> NemoCodec:
        codec = NemoCodec.load(self.settings.codec)
        if self.settings.batch_seconds:
            self.batch_frames = round(self.settings.batch_seconds / FRAME_SECONDS)
        elif codec.device.type == "cuda":
            self.batch_frames = GPU_BATCH_FRAMES
        return codec
