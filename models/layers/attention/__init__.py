"""Attention of a recurrent decoder over its source, one file per mechanism.

- `score`      what every scoring function has in common
- `additive` `dot` `scaled_dot` `general` `concat` `location` `cosine`   the scoring functions
- `window`     what a window is; global attention
- `local_m` `local_p`   local attention
- `attention`  a score and a window together, by their names in a config
"""
