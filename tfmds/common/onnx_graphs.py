"""ONNX graphs, layer by layer, for ONNX Runtime."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_OPSET = 17
_IR_VERSION = 8


class OnnxGraph:
    """A graph in the making; what it computes and its weights have numbered names."""

    def __init__(self, name: str):
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, output: str = "", **fields: Any) -> str:
        """Adds an operation and returns the name of what it gives."""
        output = output or f"x{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **fields))
        return output

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Adds an array and returns its name."""
        array = np.ascontiguousarray(value, dtype)
        return self.tensor(numpy_helper.from_array(array))

    def tensor(self, tensor: onnx.TensorProto) -> str:
        """Adds a constant as ONNX has it and returns its name."""
        tensor.name = f"c{len(self._constants)}"
        self._constants.append(tensor)
        return tensor.name

    def to_model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        *domains: str,
    ) -> onnx.ModelProto:
        """The model; `domains` has operations of others than ONNX itself."""
        graph = helper.make_graph(
            self._nodes, self._name, inputs, outputs, self._constants
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        opsets += [helper.make_opsetid(domain, 1) for domain in domains]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
