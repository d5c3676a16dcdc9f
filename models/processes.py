"""One process and thread, or the several processes that torchrun started, which share every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from optics4f.extras import require

from .data import Split

THREADS = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: the same sums on every machine, and other processes have the other cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Processes:
    """The processes of a run. Accelerate is needed, and imported, only if there are several.

    Each takes every n-th picture of a batch. Losses are weighted by the share of pictures, batch
    normalisation sees the whole batch, and gradients are averaged: what is learned is what one process
    would learn, up to the order of sums.

    Args:
        device: Where one process computes; several on GPUs take one each.

    Raises:
        MissingExtraError: If torchrun started several and Accelerate is not installed.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = torch.device(device)
        self._accelerator: Any = None
        if self.count > 1:
            accelerate = require("accelerate", "train")
            self._accelerator = accelerate.Accelerator(cpu=self.device.type == "cpu")
            self.device = self._accelerator.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model as the training step calls it; its parameters stay the same objects."""
        if self._accelerator is None:
            return model
        result: nn.Module = self._accelerator.prepare(model)
        return result

    def share(self, batch: Split) -> tuple[Split, float]:
        """This process's part of a batch, and the weight of its loss before gradients are averaged."""
        total = len(batch.labels)
        mine = torch.arange(self.rank, total, self.count, device=batch.labels.device)
        return (batch, 1.0) if self.count == 1 else (batch.taken(mine), len(mine) * self.count / total)

    def backward(self, loss: Tensor) -> None:
        """Gradients, averaged over the processes."""
        if self._accelerator is None:
            loss.backward()
        else:
            self._accelerator.backward(loss)

    def total(self, value: Tensor) -> Tensor:
        """Sum over the processes, without gradient."""
        return value if self._accelerator is None else self._accelerator.reduce(value.detach(), "sum")

    def gathered(self, value: Tensor) -> Tensor:
        """The tensors of all processes, stacked."""
        if self._accelerator is None:
            return value[None]
        result: Tensor = self._accelerator.gather(value[None].to(self.device)).cpu()
        return result

    def wait(self) -> None:
        """Until all processes are here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def close(self) -> None:
        """Part from the other processes."""
        if self._accelerator is not None:
            self._accelerator.end_training()


def share_batch_norms(module: nn.Module) -> None:
    """Let every ``BatchNorm2d`` of a network take the moments of all processes; names of the state stay."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum, child.affine)
            shared.to(child.running_mean).load_state_dict(child.state_dict())
            setattr(module, name, shared)
        else:
            share_batch_norms(child)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes; torch's own works on GPUs alone.

    Shape:
        (B, C, H, W) to the same.
    """

    def forward(self, signal: Tensor) -> Tensor:
        """Normalised signal; in training, the running moments move as in one process."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(signal)
        count = _sum_over_processes(signal.new_tensor(signal.numel() / signal.shape[1]))
        mean = _sum_over_processes(signal.sum((0, 2, 3))) / count
        centred = signal - mean[:, None, None]
        variance = _sum_over_processes(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            momentum = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        result = centred * (variance + self.eps).rsqrt()[:, None, None]
        return result * self.weight[:, None, None] + self.bias[:, None, None] if self.affine else result


class _Sum(torch.autograd.Function):
    """Sum over the processes; the gradient of a sum is the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return _reduced(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _reduced(gradients[0])


def _sum_over_processes(value: Tensor) -> Tensor:
    result: Tensor = _Sum.apply(value)
    return result


def _reduced(value: Tensor) -> Tensor:
    total = value.clone().contiguous()
    torch.distributed.all_reduce(total)
    return total
