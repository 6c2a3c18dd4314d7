"""Drawings of trees and graphs, as SVG and DOT; laid out by the system's `dot`, or else by its WebAssembly build."""

from dslc.program.draw.drawing import Drawing as Drawing
from dslc.program.draw.graph import draw_graph as draw_graph
from dslc.program.draw.tree import draw_tree as draw_tree
