"""A sentence as code: tree, graph, source, module."""
