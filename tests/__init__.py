"""Tests laid out as the packages are; what several of them use is in `support`."""

import pytest

pytest.register_assert_rewrite("tests.support")  # so that its assertions say what they compared
