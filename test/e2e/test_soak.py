# SPDX-License-Identifier: Apache-2.0
"""The soak, for a short time; see soak.py."""

import random

import pytest

from lifecycle import long
from soak import soak

pytestmark = [pytest.mark.slow, pytest.mark.heavy, pytest.mark.each_mpm]


@long
def test_nothing_is_left_behind_by_any_mixture_of_events(mpm):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    print(soak(mpm, 30, seed))
