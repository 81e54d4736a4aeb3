"""The vocabulary that training, export and serving share: tensors, graphs, bundles and preprocessing.

- `axes`       the closed list of axis names
- `signature`  what an architecture declares about its tensors
- `tasks`      which graphs and tensors each task needs
- `manifest`   the bundle's frozen, versioned, hashed description
- `text`       tokenisation, the same in training and in serving
- `words`      words and their characters, as taggers read them
- `tags`       tags, the entities that they spell, and (`viterbi`) the best of their sequences
- `sentences`  paragraphs and documents taken apart into sentences
"""
