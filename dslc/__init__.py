"""dslc: a compiler for neural architecture search spaces."""
