"""The vocabulary that training, export and serving share: tensors, graphs, bundles and preprocessing.

- `axes`       the closed list of axis names
- `signature`  what an architecture declares about its tensors
- `tasks`      which graphs and tensors each task needs
- `manifest`   the bundle's frozen, versioned, hashed description
- `text`       tokenisation, the same in training and in serving
- `sentences`  paragraphs and documents taken apart into sentences
"""
