"""Keep what a module computes from its own state, until that state changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Kept:
    """One tensor that belongs to the state of a module.

    It is made anew when a parameter or buffer was replaced, moved or changed in place, when a part of the
    module was exchanged, or when one of its plain attributes was set; and always where a gradient must flow.
    Only an edit through ``tensor.data`` escapes, as it escapes autograd.
    """

    def __init__(self) -> None:
        self._state: Any = None
        self._value: Tensor | None = None

    def get(self, module: nn.Module, make: Callable[[], Tensor]) -> Tensor:
        """The tensor, made if need be."""
        if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters()):
            return make()
        state = _state(module)
        if self._value is None or state != self._state:
            with torch.no_grad():
                self._state, self._value = state, make()
        return self._value

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept:
        return Kept()  # the copy has a state of its own

    def __getstate__(self) -> dict[str, Any]:
        return {"_state": None, "_value": None}


def _state(module: nn.Module) -> tuple[list[Any], list[Any]]:
    plain: list[Any] = []
    tensors = [*module.parameters(), *module.buffers()]
    for part in module.modules():
        own = vars(part).values()
        plain += [id(part), *(value for value in own if isinstance(value, (str, int, float, complex, tuple)))]
        tensors += [value for value in own if isinstance(value, Tensor)]
    return plain, [(tensor.data_ptr(), tensor._version, tensor.dtype, tensor.device) for tensor in tensors]
