"""A classifier as a graph of operations, ready for evaluation."""

import copy
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.transforms import Normalize

from pixguard.classifiers.resizing import Resize
from pixguard.inference.operations import concatenated, has_hooks

_OUT_OF_PLACE: dict[Any, Callable[..., Any]] = {
    operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}  # fmt: skip


class _Tracer(fx.Tracer):
    """Takes what many put before a network as one operation: it asks for a real tensor."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Normalize | Resize) or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module, dtype: torch.dtype) -> fx.GraphModule:
    """Return a copy of a model in evaluation mode as a graph, folded and free of side effects.

    Batch normalisation that follows a convolution becomes part of it (in float64, then rounded to
    ``dtype``), weights are laid out channels last, nothing works in place, and a concatenation
    that begins with an earlier one takes it whole.

    Raises:
        Exception: what torch.fx raises where a model's path depends on its data.
    """
    tracer, root = _Tracer(), copy.deepcopy(model).double().eval()
    graph_module = fx.GraphModule(root, tracer.trace(root))
    _work_out_of_place(graph_module)
    _fold_batch_norms(graph_module)
    _chain_concatenations(graph_module.graph)
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()
    # What is no weight (the mean and deviation of the images) stays exact, and so does the last
    # layer: rounded logits would tie, and a search lives on their order.
    graph_module.to(torch.promote_types(dtype, torch.float32))
    called = [str(n.target) for n in graph_module.graph.nodes if n.op == "call_module"]
    modules = [graph_module.get_submodule(name) for name in called]
    for module in modules:
        if not (module is modules[-1] and isinstance(module, nn.Linear)):
            module.to(dtype)
    return graph_module.to(memory_format=torch.channels_last).requires_grad_(False)


def _work_out_of_place(graph_module: fx.GraphModule) -> None:
    modules: dict[str, Any] = dict(graph_module.named_modules())
    in_place = {name for name, module in modules.items() if getattr(module, "inplace", False)}
    for name in in_place:
        modules[name].inplace = False
    for node in graph_module.graph.nodes:
        changes = node.op == "call_module" and node.target in in_place
        if node.target in _OUT_OF_PLACE:
            node.target, changes = _OUT_OF_PLACE[node.target], True
        if node.kwargs.get("inplace"):
            node.kwargs, changes = {**node.kwargs, "inplace": False}, True
        if node.op == "call_method" and node.target.endswith("_"):
            twin = node.target.rstrip("_")
            if callable(getattr(Tensor, twin, None)):
                node.target, changes = twin, True
        if changes:  # whoever looks at the operand later sees the result
            node.args[0].replace_all_uses_with(node, lambda user, node=node: user > node)


def _fold_batch_norms(graph_module: fx.GraphModule) -> None:
    modules = dict(graph_module.named_modules())
    nodes = [node for node in graph_module.graph.nodes if node.op == "call_module"]
    calls = [node.target for node in nodes]
    for node in nodes:
        previous = node.args[0]
        if not (
            isinstance(modules[node.target], nn.BatchNorm2d)
            and modules[node.target].track_running_stats
            and isinstance(previous, fx.Node)
            and previous.op == "call_module"
            and isinstance(modules[previous.target], nn.Conv2d)
            and len(previous.users) == 1
            and calls.count(previous.target) == 1
            and not has_hooks(modules[node.target])
            and not has_hooks(modules[previous.target])
        ):
            continue
        fused = fuse_conv_bn_eval(modules[previous.target], modules[node.target])
        parent, _, name = str(previous.target).rpartition(".")
        setattr(graph_module.get_submodule(parent), name, fused)
        modules[previous.target] = fused
        node.replace_all_uses_with(previous)
        graph_module.graph.erase_node(node)


def _chain_concatenations(graph: fx.Graph) -> None:
    """Let DenseNet's concatenations grow: each is the one before and what is new."""
    known: dict[tuple[fx.Node, ...], fx.Node] = {}
    for node in graph.nodes:
        parts = concatenated(node)
        if parts is None:
            continue
        for length in range(len(parts) - 1, 1, -1):
            if parts[:length] in known:
                node.args = ([known[parts[:length]], *parts[length:]], 1)
                node.kwargs = {}
                break
        known.setdefault(parts, node)


class Graph:
    """A traced classifier that can be run node by node.

    Attributes:
        module: the graph.
        nodes: in the order of evaluation.
        modules: by name.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        self.module = trace(model, dtype)
        self.nodes: list[fx.Node] = list(self.module.graph.nodes)
        self.modules = dict(self.module.named_modules())
        # Pixels stay exact until the first weights: a reduced precision would merge gray levels.
        self.weight_bytes = dtype.itemsize
        self.image_dtype = torch.promote_types(dtype, torch.float32)

    def run(
        self,
        images: Tensor,
        look: Callable[[fx.Node, Any], None],
        until: set[fx.Node] | None = None,
    ) -> None:
        """Run on images (N, C, H, W), show every value, stop after the last of some nodes."""
        values: dict[fx.Node, Any] = {}
        left = set(self.nodes if until is None else until)
        for node in self.nodes:
            if not left:
                return
            is_image = node.op == "placeholder"
            values[node] = images.to(self.image_dtype) if is_image else self.call(node, values)
            look(node, values[node])
            left.discard(node)

    def call(self, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
        """Compute a node from the values of others, as torch.fx would."""
        if node.op == "get_attr":
            return self.constant(node)
        arguments: Any = fx.node.map_arg(node.args, values.__getitem__)
        options: Any = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "output":
            return arguments[0]
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **options)
        if node.op == "call_function":
            function: Any = node.target
            return function(*arguments, **options)
        module = self.modules[str(node.target)]
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor):
            arguments = (arguments[0].to(weight.dtype), *arguments[1:])
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            arguments = (arguments[0].to(self.image_dtype), *arguments[1:])  # sums do not round
        return module(*arguments, **options)

    def constant(self, node: fx.Node) -> Any:
        """Return the attribute of the model that a ``get_attr`` node stands for."""
        value: Any = self.module
        for name in str(node.target).split("."):
            value = getattr(value, name)
        return value
