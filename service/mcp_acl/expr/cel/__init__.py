"""CEL: text to the tree of `expr.nodes`, and the functions that tree calls."""
