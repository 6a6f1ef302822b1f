import numpy as np

from manifests.pcm import to_float, to_int16


def test_every_sample_comes_back_unchanged():
    samples = np.arange(-32_768, 32_768).astype(np.int16)
    floats = to_float(samples)
    assert floats.dtype == np.float32 and floats.min() == -1 and floats.max() < 1
    assert np.array_equal(to_int16(floats), samples)


def test_samples_beyond_full_scale_are_clipped_and_do_not_wrap_around():
    assert to_int16(np.array([-2.0, -1.0, 0.99999, 1.0, 7.0])).tolist() == [-32_768, -32_768, 32_767, 32_767, 32_767]
