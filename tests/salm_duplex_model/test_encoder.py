import torch

from salm_duplex_model.config import CausalEncoderConfig
from salm_duplex_model.encoder import CausalEncoder

FRAME = 1_280


def test_frame_by_frame_equals_offline():
    encoder = CausalEncoder(CausalEncoderConfig(), 48).eval()
    audio = 0.1 * torch.randn(2, 20 * FRAME)
    whole, _ = encoder(audio, encoder.initial_state(2))
    assert whole.shape == (2, 20, 48)
    state, steps = encoder.initial_state(2), []
    for t in range(20):
        step, state = encoder(audio[:, t * FRAME : (t + 1) * FRAME], state)
        steps.append(step)
    assert torch.allclose(torch.cat(steps, dim=1), whole, atol=1e-5)


def test_a_frame_hears_its_own_last_sample_and_nothing_later():
    encoder = CausalEncoder(CausalEncoderConfig(), 48).eval()
    audio = 0.1 * torch.randn(1, 20 * FRAME)
    changed = audio.clone()
    changed[:, 10 * FRAME - 200 :] = torch.randn(1, 10 * FRAME + 200)
    before, after = (encoder(a, encoder.initial_state(1))[0] for a in (audio, changed))
    assert torch.equal(before[:, :9], after[:, :9])
    assert not torch.equal(before[:, 9], after[:, 9])
