"""A bare checkout tests like an installed package: the folders at the top are parts of ``optics4f``."""

from pathlib import Path

import pytest
import torch

import optics4f

torch.set_num_threads(1)  # the tests' tensors are small: a second thread only waits where cores are shared
optics4f.__path__.append(str(Path(__file__).parents[1]))


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)
