"""Optimisation passes: each a named function that rewrites one graph in place and can be tested alone.

- `simplify`  what every precision wants: constants folded, one form for affine maps, nothing left of the tracer
- `linear`    affine maps, found in any form that the exporter writes
- `integer`   int8 matrix products and embeddings
- `half`      float16 weights and arithmetic
- `values`    the small steps that rewriting is made of
"""
