"""The fast conversion gives what numpy's cast gives, for every finite half there is."""

from __future__ import annotations

import numpy as np

from inference.feed.half import as_float32


def test_every_finite_half_comes_out_as_numpy_would_have_it() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    assert np.array_equal(as_float32(finite), finite.astype(np.float32))
    assert np.array_equal(np.signbit(as_float32(finite)), np.signbit(finite))


def test_shape_stays_and_the_source_is_left_alone() -> None:
    source = np.random.default_rng(1).standard_normal((5, 256)).astype(np.float16)
    before = source.copy()
    assert as_float32(source).shape == (5, 256)
    assert np.array_equal(source, before)
    assert as_float32(source[:0]).shape == (0, 256)
