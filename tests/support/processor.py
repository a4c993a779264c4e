"""Marks for tests that need instructions which some processors lack."""

import openvino as ov
import pytest

from labeld.engines.openvino.precision import quantises

needs_int8 = pytest.mark.skipif(
    not quantises(frozenset({64}), 64), reason="OpenVINO quantises activations on AVX2-VNNI and AVX512-VNNI only"
)
needs_bfloat16 = pytest.mark.skipif(
    "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"), reason="needs bfloat16 instructions"
)
