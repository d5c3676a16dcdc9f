"""The graph of a torch model: what its nodes are, and how far optics can follow."""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

# What a kind of node is called in a model: a module, a function, or a method of a tensor.
KINDS: dict[str, tuple[Any, ...]] = {
    "convolution": (nn.Conv2d, F.conv2d),
    "linear": (nn.Linear, F.linear),
    "norm": (nn.BatchNorm1d, nn.BatchNorm2d, F.batch_norm),
    "pool": (
        *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
        *(F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, torch.max_pool2d),
    ),
    "dropped": (
        *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Identity, nn.Dropout, nn.Dropout2d),
        *(F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.dropout, F.dropout2d),
        *(torch.relu, torch.relu_, torch.square, torch.dropout),
        *("relu", "relu_", "square", "contiguous"),
    ),
    "flatten": (nn.Flatten, torch.flatten, torch.reshape, torch.mean, "flatten", "view", "reshape", "mean"),
    "rise": (nn.ConvTranspose2d, nn.Upsample, F.interpolate, F.conv_transpose2d),
    "shape": ("size", "dim", getattr),
}
SUPPORTED = (
    "Conv2d, BatchNorm, ReLU and its kin, square, Dropout, Max/Avg/AdaptivePool2d, flatten, view, reshape, "
    "mean over the plane and Linear in one chain, or a U-Net of these"
)
ARGUMENTS = {
    "convolution": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "linear": ("input", "weight", "bias"),
    "norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
}


def kind_of(graph: fx.GraphModule, node: fx.Node) -> str | None:
    """What a node is in ``KINDS``; None if it is none of them."""
    if node.target is operator.getitem:
        source = node.args[0]
        return "shape" if isinstance(source, fx.Node) and kind_of(graph, source) == "shape" else None
    if node.target is getattr and node.args[1] != "shape":
        return None
    what = type(graph.get_submodule(str(node.target))) if node.op == "call_module" else node.target
    return next((kind for kind, found in KINDS.items() if what in found), None)


def refusal(graph: fx.GraphModule, node: fx.Node, reason: str = "") -> str:
    """A sentence that names a node, what it does, and the module it stands in."""
    inside = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    where = f" in module {inside[-1]!r}" if inside and inside[-1] else ""
    called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.target)
    what = type(graph.get_submodule(str(called))).__name__ if node.op == "call_module" else called
    return f"counterpart: expected {SUPPORTED}, got {reason}node {node.name!r}, {node.op} {what}{where}."


def traced(model: nn.Module) -> fx.GraphModule:
    """The graph of a copy of a model in evaluation mode.

    Raises:
        ValueError: If torch.fx cannot follow it.
    """
    try:
        return fx.symbolic_trace(copy.deepcopy(model).eval())
    except (fx.proxy.TraceError, TypeError, NameError) as error:
        got = str(error).splitlines()[0]
        raise ValueError(f"counterpart: expected a model that torch.fx can trace, got: {got}") from error


def optical_chain(graph: fx.GraphModule, kept: int) -> list[fx.Node]:
    """The nodes up to the first of the ``kept`` last linear layers, or before the first that enlarges.

    Raises:
        ValueError: If a node among them is not supported, or there are fewer linear layers.
    """
    nodes = [node for node in graph.graph.nodes if node.op in ("call_module", "call_function", "call_method")]
    kinds = [kind_of(graph, node) for node in nodes]
    linear = [node for node, kind in zip(nodes, kinds, strict=True) if kind == "linear"]
    end = nodes[kinds.index("rise")] if "rise" in kinds else linear[-kept] if len(linear) >= kept else None
    chain: list[fx.Node] = []
    for node, kind in zip(nodes, kinds, strict=True):
        if node is end and kind == "rise" and chain:
            return chain
        if kind is None or kind == "rise":
            raise ValueError(refusal(graph, node))
        chain += [node] if kind != "shape" else []
        if node is end:
            return chain
    raise ValueError(f"counterpart: expected a model with at least {kept} Linear, got {len(linear)}.")


def rest_of(graph: fx.GraphModule, chain: list[fx.Node]) -> tuple[list[fx.Node], set[fx.Node]]:
    """The nodes behind a chain, in order, and those of the chain that they need."""
    needed, reached = {graph.graph.output_node()}, set()
    for node in reversed(graph.graph.nodes):
        if node in needed:
            inputs = set(node.all_input_nodes)
            reached |= inputs & set(chain)
            needed |= inputs - set(chain)
    return [node for node in graph.graph.nodes if node in needed], reached


class _Recorder(fx.Interpreter):
    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        n.meta["optics4f_shape"] = tuple(result.shape) if isinstance(result, Tensor) else ()
        return result


def record_shapes(graph: fx.GraphModule, shape: tuple[int, int, int]) -> None:
    """Run a model once and write the shape of every tensor beside its node."""
    like = next(graph.parameters(), torch.zeros(()))
    try:
        with torch.no_grad():
            _Recorder(graph).run(torch.zeros(1, *shape, dtype=like.dtype, device=like.device))
    except (RuntimeError, ValueError) as error:
        got = str(error).splitlines()[0]
        raise ValueError(f"counterpart: expected a model for pictures {shape}, got: {got}") from error


def shape_of(node: Any) -> tuple[int, ...]:
    """Shape of what a node gives, after :func:`record_shapes`."""
    shape: tuple[int, ...] = node.meta["optics4f_shape"]
    return shape


def numbers_of(graph: fx.GraphModule, node: fx.Node, kind: str) -> dict[str, Any]:
    """The numbers of a layer by the names of its function, whether it is a module or a call."""
    names = ARGUMENTS[kind]
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        return {name: getattr(module, name, None) for name in names}
    given = dict.fromkeys(names) | dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return {name: _value(graph, value) for name, value in given.items()}


def _value(graph: fx.GraphModule, value: Any) -> Any:
    if isinstance(value, fx.Node) and value.op == "get_attr":
        place, _, name = str(value.target).rpartition(".")
        return getattr(graph.get_submodule(place), name)
    return value
