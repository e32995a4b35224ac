"""EfficientNet-lite0 as an ONNX graph built from its weights (Tan & Le 2019; lite: no squeeze-excite, ReLU6, fixed
stem).

Input `frames` float32 (n, 3, 224, 224), (x - 127) / 128. Outputs `features` (n, 1280) and `logits` (n, 1000, ImageNet).
Batch normalisation is folded into the convolutions; TensorFlow's SAME padding is ONNX's SAME_UPPER.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = Mapping[str, NDArray[Any]]
_BN_EPSILON = 1e-3
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Stride of each of the 16 inverted residual blocks."""


class _Graph:
    """Collects nodes and initialisers; every method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, name: str, array: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def convolution(self, weights: Weights, *, source: str, conv: str, norm: str, stride: int, group: int) -> str:
        kernel, bias = _fold(weights, conv, norm)
        name = conv.strip("_").replace(".", "/")
        inputs = [source, self.constant(f"{name}/w", kernel), self.constant(f"{name}/b", bias)]
        size = list(kernel.shape[2:])
        return self.node(
            "Conv", inputs, name, kernel_shape=size, strides=[stride, stride], group=group, auto_pad="SAME_UPPER"
        )

    def relu6(self, source: str) -> str:
        return self.node("Clip", [source, "zero", "six"], f"{source}/relu6")


def _fold(weights: Weights, conv: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """y = gamma * (conv(x) - mean) / sqrt(var + eps) + beta as one kernel and bias."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _BN_EPSILON)
    kernel = weights[f"{conv}.weight"] * scale[:, None, None, None]
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return kernel.astype(np.float32), bias.astype(np.float32)


def build(weights: Weights) -> bytes:
    """The serialised ONNX model (opset 17). Raises KeyError when a tensor is missing."""
    graph = _Graph()
    graph.constant("zero", np.array(0, np.float32))
    graph.constant("six", np.array(6, np.float32))
    x = graph.relu6(graph.convolution(weights, source="frames", conv="_conv_stem", norm="_bn0", stride=2, group=1))
    for number, stride in enumerate(_STRIDES):
        x = _block(graph, weights, prefix=f"_blocks.{number}", source=x, stride=stride)
    x = graph.relu6(graph.convolution(weights, source=x, conv="_conv_head", norm="_bn1", stride=1, group=1))
    pooled = graph.node("GlobalAveragePool", [x], "pooled")
    graph.node("Flatten", [pooled], "features", axis=1)
    head = [graph.constant("fc/w", weights["_fc.weight"]), graph.constant("fc/b", weights["_fc.bias"])]
    graph.node("Gemm", ["features", *head], "logits", transB=1)
    return _serialise(graph)


def _block(graph: _Graph, weights: Weights, *, prefix: str, source: str, stride: int) -> str:
    """Inverted residual: expand (not in the first block), depth-wise, project; skip where the shape stays."""
    x = source
    if f"{prefix}._expand_conv.weight" in weights:
        x = graph.relu6(
            graph.convolution(
                weights, source=x, conv=f"{prefix}._expand_conv", norm=f"{prefix}._bn0", stride=1, group=1
            )
        )
    depthwise = f"{prefix}._depthwise_conv"
    channels = weights[f"{depthwise}.weight"].shape[0]
    x = graph.relu6(
        graph.convolution(weights, source=x, conv=depthwise, norm=f"{prefix}._bn1", stride=stride, group=channels)
    )
    project = f"{prefix}._project_conv"
    x = graph.convolution(weights, source=x, conv=project, norm=f"{prefix}._bn2", stride=1, group=1)
    kernel = weights.get(f"{prefix}._expand_conv.weight", None)
    if stride == 1 and kernel is not None and kernel.shape[1] == weights[f"{project}.weight"].shape[0]:
        x = graph.node("Add", [x, source], f"{x}/skip")
    return x


def _serialise(graph: _Graph) -> bytes:
    made = helper.make_graph(
        graph.nodes,
        "efficientnet-lite0",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1280]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1000]),
        ],
        graph.initializers,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], producer_name="popreel")
    model.ir_version = 9
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised
