"""tokenize with a NeMo codec: NanoCodec by its hub name, or a `.nemo` file, such as a personalized one."""

from importlib.metadata import version

from pydantic import Field, field_validator

from manifests.frames import FRAME_SECONDS
from salm_duplex_model.codec.nemo import NANO_CODEC, NemoCodec, check_file
from salm_duplex_model.nemo_files import check_name, is_file_name, is_hub_name
from stages.tokenize import Tokenizer, TokenizerSettings

GPU_BATCH_FRAMES = 750
CPU_BATCH_FRAMES = 200
"""A CPU takes twice as long with batches of 4 000, which exceed its caches."""


class NemoTokenizeSettings(TokenizerSettings):
    codec: str = Field(default=NANO_CODEC, description="a NeMo codec's name on the hub, or the path of a .nemo file")
    batch_seconds: float | None = Field(
        default=None,
        gt=0,
        description="audio per batch, including padding; does not affect the codes. Default: 60 on a GPU, 16 on a CPU, "
        "where more is slower",
    )

    @field_validator("codec")
    @classmethod
    def _is_usable(cls, codec: str) -> str:
        """Checks what can be checked before any work, without loading the codec."""
        check_name(codec, check_file, "a NeMo codec")
        if not (is_file_name(codec) or is_hub_name(codec)):
            raise ValueError(f"it must be the path of a .nemo file, or a name on the hub such as {NANO_CODEC}")
        return codec


class NemoTokenizer(Tokenizer[NemoTokenizeSettings]):
    """A NeMo codec, on the GPU if the worker has one (`resources: {gpus: 0.25}`), else on the CPU."""

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
