"""Keep what a module computes from its own state, until that state changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """One value that belongs to the state of a module.

    It is made anew when a parameter or buffer was replaced, moved or changed in place, when a part of the
    module was exchanged, or when one of its plain attributes was set; and always where a gradient must flow.
    Only an edit through ``tensor.data`` escapes, as it escapes autograd.
    """

    def __init__(self) -> None:
        self._state: Any = None
        self._value: Value | None = None

    def get(self, module: nn.Module, make: Callable[[], Value], *key: Any) -> Value:
        """The value, made if need be; for another key, such as a precision, it is made anew."""
        if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters()):
            return make()
        state = [*key, *_state(module)]
        if self._value is None or state != self._state:
            with torch.inference_mode(False), torch.no_grad():  # it may be used elsewhere later
                self._state, self._value = state, make()
        return self._value

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept[Value]:
        return Kept()  # the copy has a state of its own

    def __getstate__(self) -> dict[str, Any]:
        return {"_state": None, "_value": None}


_INTERNAL = nn.Module().__dict__.keys()


def _state(module: nn.Module) -> list[Any]:
    # One walk written out: Module.parameters() and its kin each walk all parts, ten times more slowly.
    state: list[Any] = []
    parts: list[nn.Module | None] = [module]
    while parts:
        part = parts.pop()
        if part is None:
            continue
        own = vars(part)
        state += id(part), part.training
        for kind in ("_parameters", "_buffers"):
            state += [_identity(value) for value in own[kind].values() if value is not None]
        for name in sorted(own.keys() - _INTERNAL):
            value = own[name]
            if isinstance(value, Tensor):
                state.append(_identity(value))
            elif isinstance(value, (str, int, float, complex, tuple)) or is_dataclass(value):
                state.append(value)
        parts += own["_modules"].values()
    return state


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor._version, tensor.dtype, tensor.device
