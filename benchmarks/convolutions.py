"""The bare convolutions of a training step: which they are, and how long they take alone.

Shapes are those of TensorFlow's operations, `[N, H, W, C]` and `[k, k, C, filters]`.
"""

import collections
import dataclasses
import math

import tensorflow as tf

from benchmarks.timing import median_ms

KINDS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")


@dataclasses.dataclass(frozen=True)
class Convolution:
    """One operation of `KINDS`: what it takes and how."""

    kind: str
    first: tuple  # shape of the first tensor, or of the result that a gradient has
    kernel: tuple
    last: tuple  # shape of the gradient that comes in; () for a forward convolution
    strides: tuple
    padding: str
    explicit: tuple

    @property
    def multiplications(self):
        """Multiply-adds, counted as 3x3 kernels meet pixels, padding included."""
        output = self.last or self._output()
        return math.prod(output) * math.prod(self.kernel[:3])

    def _output(self):
        zeros = {"VALID": (0, 0), "SAME": None}.get(self.padding)
        sides = []
        for axis in (1, 2):
            side = self.first[axis]
            sides.append(-(-side // self.strides[axis]) if zeros is None
                         else (side - self.kernel[axis - 1]) // self.strides[axis] + 1)
        return (self.first[0], *sides, self.kernel[3])

    def run(self, dtype):
        """A function that does it once on random numbers."""
        def draw(shape):
            return tf.cast(tf.random.stateless_normal(shape, (0, 1)), dtype)

        options = dict(strides=self.strides, padding=self.padding)
        if self.kind == "Conv2D":
            taken = (draw(self.first), draw(self.kernel))
            operation = lambda x, kernel: tf.raw_ops.Conv2D(  # noqa: E731
                input=x, filter=kernel, **options)
        elif self.kind == "Conv2DBackpropInput":
            taken = (draw(self.kernel), draw(self.last))
            operation = lambda kernel, y: tf.raw_ops.Conv2DBackpropInput(  # noqa: E731
                input_sizes=self.first, filter=kernel, out_backprop=y, **options)
        else:
            taken = (draw(self.first), draw(self.last))
            operation = lambda x, y: tf.raw_ops.Conv2DBackpropFilter(  # noqa: E731
                input=x, filter_sizes=self.kernel, out_backprop=y, **options)
        return lambda: operation(*taken)  # not compiled: a call costs microseconds


def count(graph):
    """`Convolution` -> how often it occurs in `graph` and the functions that it calls."""
    found = collections.Counter()
    for operation in _operations(graph):
        if operation.type in KINDS:
            found[_describe(operation)] += 1
    return found


def milliseconds(counts, dtype, repeats=5):
    """How long all of `counts` take, one after the other, each alone."""
    return sum(number * median_ms(convolution.run(dtype), repeats)
               for convolution, number in counts.items())


def _operations(graph):
    """What runs: TensorFlow leaves out gradients that nothing reads."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    seen = set()
    while waiting:
        operation = waiting.pop()
        if operation in seen:
            continue
        seen.add(operation)
        yield operation
        waiting += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
        for name in ("then_branch", "else_branch", "f"):  # of a condition, or a call
            if name in operation.node_def.attr:
                yield from _operations(graph._get_function(operation.get_attr(name).name).graph)


def _describe(operation):
    shapes = [tuple(tensor.shape) for tensor in operation.inputs]
    result = tuple(operation.outputs[0].shape)
    first, kernel, last = {
        "Conv2D": lambda: (shapes[0], shapes[1], ()),
        "Conv2DBackpropInput": lambda: (result, shapes[1], shapes[2]),
        "Conv2DBackpropFilter": lambda: (shapes[0], result, shapes[2])}[operation.type]()
    return Convolution(operation.type, first, kernel, last,
                       tuple(operation.get_attr("strides")),
                       operation.get_attr("padding").decode(), ())
