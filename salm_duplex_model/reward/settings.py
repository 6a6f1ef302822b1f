"""The settings of training by rewards; a run stores them in `RUN/reward.yaml`."""

from pydantic import Field

from salm_duplex_model.config import Section


class Weights(Section):
    """What each kind of reward counts; see `rewards.py`."""

    pause: float = Field(default=1, ge=0)
    turn: float = Field(default=1, ge=0)
    backchannel: float = Field(default=1, ge=0)
    interruption: float = Field(default=1, ge=0)
    unprompted: float = Field(default=1, ge=0)


class RewardSettings(Section):
    steps: int = Field(default=100, ge=1, description="each step plays new conversations")
    group: int = Field(default=8, ge=2, description="conversations per dialogue, which are compared with each other")
    dialogues: int = Field(default=4, ge=1, description="dialogues per step, the corpora taking turns")
    weights: Weights = Weights()
    learning_rate: float = Field(default=2e-5, gt=0, description="constant; a fiftieth of that of the preset `tiny`")
    clip: float = Field(default=1.0, gt=0, description="maximum gradient norm")
    kl: float = Field(default=0.05, ge=0, description="weight of the divergence from the supervised agent's decisions")
    updates: int = Field(default=1, ge=1, description="updates on the same conversations")
    ratio_clip: float = Field(
        default=0.2, gt=0, lt=1, description="PPO's limit on a decision's change of probability; matters from 2 updates"
    )
    code_temperature: float = Field(default=0.8, ge=0, description="as in live sessions")
    seed: int = Field(default=0, ge=0, lt=2**63)
    checkpoint_every: int = Field(default=25, ge=1, description="steps")
    keep_checkpoints: int = Field(default=2, ge=1)
