"""Repairs of networks whose layers choose their inputs: every choice is a network that can be trained.

Source: zoph2017, section 3.3, which names the three of them. In a chain, where each layer takes the one before it, they
change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dslc.program.graph import GraphBuilder, Node


def take_image(inputs: Sequence[Node], image: Node) -> Sequence[Node]:
    """The inputs of a layer; first repair: a layer that is connected to none takes the image."""
    return inputs or (image,)


def collect_unconnected(outputs: Sequence[Node], connected: Iterable[int]) -> Sequence[Node]:
    """Second repair: the outputs that no layer takes, which the classifier gets.

    Args:
        outputs: of all layers, in order.
        connected: numbers of the layers that some layer takes, from 0.
    """
    taken = set(connected)
    return tuple([output for number, output in enumerate(outputs) if number not in taken])


def join_in_depth(builder: GraphBuilder, inputs: Sequence[Node], rule: str, tokens: tuple[int, int]) -> Node:
    """The inputs one behind the other along the channels, in order; third repair: of other sizes, the small are padded.

    The paper fills up with zeros to the largest size and does not say on which side: here below and to the right, so
    that first rows and columns stay together. A single input is itself.

    Args:
        builder: of the graph.
        inputs: at least one image.
        rule: what the joining comes from, for its node.
        tokens: first token of that, and the one after its last.
    """
    if len(inputs) == 1:
        return inputs[0]
    has_one_size = len({node.type.shape[2:] for node in inputs}) == 1
    op = "concat_channels" if has_one_size else "concat_padded"
    return builder.add(op, *inputs, rule=rule, tokens=tokens)
