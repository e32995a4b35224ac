"""A trained perceptron as the ONNX ranker that `inference.feed.ranker` loads."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.feed.features import SCHEMA, WIDTH
from inference.training.perceptron import HEAD_COUNT, LEVELS, Perceptron


def to_onnx(model: Perceptron) -> bytes:
    """`x` (n, WIDTH) -> `interest` (n,), `heads` (n, 4); the standardisation is folded into the first layer."""
    weights, biases = list(model.weights), list(model.biases)
    biases[0] = (biases[0] - (model.mean / model.scale) @ weights[0]).astype(np.float32)
    weights[0] = weights[0] / model.scale[:, None]
    nodes, constants, source = [], [], "x"
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        constants += [
            numpy_helper.from_array(np.ascontiguousarray(weight, np.float32), f"w{number}"),
            numpy_helper.from_array(np.ascontiguousarray(bias, np.float32), f"b{number}"),
        ]
        nodes.append(helper.make_node("Gemm", [source, f"w{number}", f"b{number}"], [f"h{number}"]))
        source = f"h{number}"
        if number + 1 < len(weights):
            nodes.append(helper.make_node("Relu", [source], [f"r{number}"]))
            source = f"r{number}"
    constants.append(numpy_helper.from_array(np.array([LEVELS, HEAD_COUNT], np.int64), "widths"))
    nodes += [
        helper.make_node("Sigmoid", [source], ["chances"]),
        helper.make_node("Split", ["chances", "widths"], ["levels", "heads"], axis=1),
        helper.make_node("ReduceMean", ["levels"], ["interest"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "feed-ranker",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [
            helper.make_tensor_value_info("interest", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("heads", TensorProto.FLOAT, ["n", HEAD_COUNT]),
        ],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="popreel")
    made.ir_version = 9
    helper.set_model_props(made, {"feature_schema": SCHEMA})
    onnx.checker.check_model(made)
    serialised: bytes = made.SerializeToString()
    return serialised
