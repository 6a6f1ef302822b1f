import numpy as np
import pytest
from utmos_material import make_utmos

from manifests.errors import RequestError
from salm_duplex_model.evaluation.timeline import Interval
from salm_duplex_model.evaluation.utmos import Utmos


def test_only_speech_is_scored_without_its_silence(tmp_path):
    utmos = Utmos(make_utmos(tmp_path / "utmos.pt"))
    second = np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    silence = np.zeros(22_050)
    audio = np.concatenate([silence, second, silence, silence, second])
    assert utmos(audio, [Interval(1, 2), Interval(4, 5)]) == pytest.approx(np.sqrt(0.5), rel=0.01)
    assert utmos(audio, [Interval(0, 5)]) == pytest.approx(np.sqrt(0.5 * 2 / 5), rel=0.01)
    assert utmos(audio, []) is None


def test_what_is_not_a_model_is_rejected(tmp_path):
    with pytest.raises(RequestError, match=r"does not exist; get utmos_scripted\.pt"):
        Utmos(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no model")
    with pytest.raises(RequestError, match="is not a TorchScript file"):
        Utmos(tmp_path / "text.pt")
