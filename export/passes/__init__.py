"""Optimisation passes: each a named function that rewrites one graph in place and can be tested alone.

- `simplify`  what every precision wants: constants folded, one form for affine maps, nothing left of the tracer
- `linear`    affine maps, found in any form that the exporter writes
- `convolution`  int8 convolutions that hand on bytes
- `integer`   int8 matrix products and embeddings
- `bias`      biases that make up for rounded filters
- `rounding`  how weights and activations become bytes
- `half`      float16 weights and arithmetic
- `values`    the small steps that rewriting is made of
"""
