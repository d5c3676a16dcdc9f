"""The linear part of a CNN as layers on planes, and the electronics that are left of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from .graph import kind_of, numbers_of, optical_chain, record_shapes, refusal, rest_of, shape_of, traced


@dataclass
class Layer:
    """One linear layer on a plane: correlation with kernels, a bias, and how many samples are left.

    Attributes:
        name: Of its node.
        kernels: (C_out, C_in, k, l), k and l odd, row 0 at the top; the middle one is the origin.
        bias: (C_out,).
        size: Samples ``(H', W')`` of the output.
    """

    name: str
    kernels: Tensor
    bias: Tensor
    size: tuple[int, int]


@dataclass(frozen=True)
class Tap:
    """Where a sensor stands: number of layers before it, and the shape (C, h, w) of what it reads."""

    layers: int
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Plan:
    """A model in two parts.

    Attributes:
        layers: The linear part on planes, in order.
        taps: The sensors; the one behind all layers first, then one for each skip connection.
        electronics: The rest of the model, a function of what the sensors read.
        steps: What became of every node, for reading.
    """

    layers: list[Layer]
    taps: list[Tap]
    electronics: nn.Module
    steps: list[str]


def walk(model: nn.Module, shape: tuple[int, int, int], kept: int = 1) -> Plan:
    """Split a model into layers for optics and the rest, by following its chain from the picture on.

    The chain ends with the first of the ``kept`` linear layers, or, in a model that rises again, such as a
    U-Net, before the first node that enlarges the plane. Linear layers before the first kept one are
    multiplied into it.

    Args:
        model: Any torch model that torch.fx can trace; it is not changed, and taken in evaluation mode.
        shape: (C, H, W) of its picture.
        kept: Number of linear layers, from the end, that stay as they are.

    Raises:
        ValueError: If the model cannot be traced or run, or a node is not supported: it is named.
    """
    graph = traced(model)
    chain = optical_chain(graph, kept)
    record_shapes(graph, shape)
    return _Walk(graph, chain, shape).plan()


def dense_kernels(weight: Tensor, groups: int, dilation: Any) -> Tensor:
    """Kernels of a Conv2d for every pair of channels, of odd size, with its groups and holes as zeros.

    The origin is the tap at ``(d (k - 1)) // 2``, where ``padding="same"`` has it.

    Args:
        weight: (C_out, C_in / groups, k, l), as in ``torch.nn.functional.conv2d``.
        groups: As there.
        dilation: As there, one number or a pair.

    Returns:
        (C_out, C_in, k', l').
    """
    steps = dilation if isinstance(dilation, (tuple, list)) else (dilation, dilation)
    spans = [step * (taps - 1) for step, taps in zip(steps, weight.shape[2:], strict=True)]
    (top, left), (rows, columns) = [span % 2 for span in spans], [span + 1 + span % 2 for span in spans]
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    dense = weight.new_zeros(groups * outputs, groups * inputs, rows, columns)
    for group, block in enumerate(weight.detach().chunk(groups)):
        pairs = dense[group * outputs : (group + 1) * outputs, group * inputs : (group + 1) * inputs]
        pairs[..., top :: steps[0], left :: steps[1]] = block
    return dense


def wrapped_kernels(kernels: Tensor, plane: tuple[int, int]) -> Tensor:
    """Kernels no larger than a plane that do the same on it: what is wider wraps round.

    Args:
        kernels: (..., k, l) with their origin at ``k // 2``.
        plane: Samples ``(H, W)``.
    """
    for axis, n in zip((-2, -1), plane, strict=True):
        taps = kernels.shape[axis]
        if taps > n:
            places = (torch.arange(taps, device=kernels.device) - taps // 2 + n // 2) % n
            shape = list(kernels.shape)
            shape[axis] = n
            kernels = kernels.new_zeros(shape).index_add(axis, places, kernels)
    return kernels


def carried_bias(layers: list[Layer]) -> Tensor:
    r"""The constant that the biases of all layers come to behind the last one, (C_out,).

    .. math:: b = \sum_l \hat K_L(0) \cdots \hat K_{l+1}(0)\, b_l

    A bias is even over the plane: circular layers meet it at zero frequency alone, and every stop lets that
    through. Exact for circular planes; with a guard band it is not even at the border.
    """
    total = layers[0].bias.new_zeros(layers[0].kernels.shape[1])
    for layer in layers:
        total = layer.kernels.sum((-2, -1)) @ total + layer.bias
    return total


class _Walk:
    def __init__(self, graph: fx.GraphModule, chain: list[fx.Node], shape: tuple[int, int, int]) -> None:
        self.graph, self.chain, self.shape = graph, chain, shape
        self.rest, self.reached = rest_of(graph, chain)
        self.layers: list[Layer] = []
        self.steps: list[str] = []
        self.sealed = 0  # a layer that a skip connection has left must not be changed
        self.flat: tuple[Tensor, Tensor] | None = None  # weight and bias of the linear layers so far

    def plan(self) -> Plan:
        last = next(node for node in self.graph.graph.nodes if node.op == "placeholder")
        skips: dict[fx.Node, Tap] = {}
        if last in self.rest:
            raise ValueError(refusal(self.graph, last, "a way round the optics at "))
        for node in self.chain:
            if node.args[0] is not last:
                raise ValueError(refusal(self.graph, node, "a branch at "))
            self.steps.append(f"{node.name}: {getattr(self, '_' + str(kind_of(self.graph, node)))(node)}")
            last = node
            if node in self.reached and node is not self.chain[-1]:
                if len(shape_of(node)) != 4 or not self.layers:
                    raise ValueError(refusal(self.graph, node, "a second way out of the model at "))
                skips[node], self.sealed = Tap(len(self.layers), self.shape), len(self.layers)
        taps = [Tap(len(self.layers), self.shape), *skips.values()]
        return Plan(self.layers, taps, self._electronics(list(skips)), self.steps)

    def _electronics(self, skips: list[fx.Node]) -> nn.Module:
        """The nodes that are left, behind the linear layer that holds all those before it."""
        graph, last = fx.Graph(), self.chain[-1]
        copies = {node: graph.placeholder(node.name) for node in (last, *skips)}
        if self.flat is not None:
            weight, bias = self.flat
            merged = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
            merged.weight.data, merged.bias.data = weight, bias
            self.graph.add_module("merged", merged)
            flat = graph.call_function(torch.flatten, (copies[last], 1))
            copies[last] = graph.call_module("merged", (flat,))
        for node in self.rest:
            copies[node] = graph.node_copy(node, lambda inner: copies[inner])
        return fx.GraphModule(self.graph, graph)

    def _free_layer(self, node: fx.Node) -> Layer:
        """A layer to change: the last one, or a relay that leaves the light as it is."""
        if len(self.layers) == self.sealed:
            weight = next(self.graph.parameters(), torch.zeros(()))
            eye = torch.eye(self.shape[0], dtype=weight.dtype, device=weight.device)[..., None, None]
            self.layers.append(Layer(node.name, eye, weight.new_zeros(self.shape[0]), self.shape[1:]))
        return self.layers[-1]

    def _resize(self, node: fx.Node, size: tuple[int, int]) -> str:
        """A stop; a pool that enlarges is left to the pixels of the sensor."""
        if any(new < old for new, old in zip(size, self.shape[1:], strict=True)):
            layer = self._free_layer(node)
            layer.size = min(size[0], layer.size[0]), min(size[1], layer.size[1])
        self.shape = self.shape[0], *size
        return f"a stop of {size[0]} x {size[1]}"

    def _convolution(self, node: fx.Node) -> str:
        given = numbers_of(self.graph, node, "convolution")
        kernels = dense_kernels(given["weight"], given["groups"] or 1, given["dilation"] or 1)
        _, channels, height, width = shape_of(node)
        bias = kernels.new_zeros(channels) if given["bias"] is None else given["bias"].detach().clone()
        self.layers.append(Layer(node.name, kernels, bias, (height, width)))
        smaller = "" if (height, width) == self.shape[1:] else f", a stop of {height} x {width}"
        self.shape = channels, height, width
        return f"{kernels.shape[1]} -> {channels} masks{smaller}"

    def _norm(self, node: fx.Node) -> str:
        given = numbers_of(self.graph, node, "norm")
        if given["running_mean"] is None or (len(shape_of(node)) != 4 and self.flat is None):
            raise ValueError(
                refusal(self.graph, node, "no running statistics, or no layer to fold into, at ")
            )
        factor = (given["running_var"] + given["eps"]).rsqrt()
        factor = factor if given["weight"] is None else factor * given["weight"].detach()
        shift = -given["running_mean"] * factor
        shift = shift if given["bias"] is None else shift + given["bias"].detach()
        if self.flat is not None:
            self.flat = self.flat[0] * factor[:, None], self.flat[1] * factor + shift
        else:
            layer = self._free_layer(node)
            layer.kernels = layer.kernels * factor[:, None, None, None]
            layer.bias = layer.bias * factor + shift
        return "folded into the layer before"

    def _pool(self, node: fx.Node) -> str:
        return self._resize(node, (shape_of(node)[2], shape_of(node)[3]))

    def _flatten(self, node: fx.Node) -> str:
        before, after = shape_of(node.args[0]), shape_of(node)
        if node.target in ("mean", torch.mean):
            if len(before) != 4 or after[:2] != before[:2] or after[2:] not in ((), (1, 1)):
                raise ValueError(refusal(self.graph, node, "a mean over other than the plane at "))
            return self._resize(node, (1, 1))
        if after != (before[0], torch.Size(before[1:]).numel()):
            raise ValueError(refusal(self.graph, node, f"{before} reshaped to {after} at "))
        return "the order of the sensor's pixels"

    def _linear(self, node: fx.Node) -> str:
        given = numbers_of(self.graph, node, "linear")
        if len(shape_of(node)) != 2:
            raise ValueError(refusal(self.graph, node, "a Linear before flatten at "))
        weight = given["weight"].detach().clone()
        bias = weight.new_zeros(len(weight)) if given["bias"] is None else given["bias"].detach().clone()
        if self.flat is not None:
            weight, bias = weight @ self.flat[0], weight @ self.flat[1] + bias
        self.flat = weight, bias
        return "electronic back end" if node is self.chain[-1] else "multiplied into the next linear layer"

    def _dropped(self, node: fx.Node) -> str:
        return "dropped"
