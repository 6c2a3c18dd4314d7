"""Drawings of trees, graphs, automata and grammars, as SVG, DOT and PNG.

Boxes are placed by the system's `dot`, or else by its WebAssembly build.
"""

from dslc.program.draw.automaton import draw_automaton as draw_automaton
from dslc.program.draw.drawing import Drawing as Drawing
from dslc.program.draw.graph import draw_graph as draw_graph
from dslc.program.draw.railroad import draw_railroad as draw_railroad
from dslc.program.draw.tree import draw_tree as draw_tree
