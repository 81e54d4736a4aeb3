"""The vocabulary that training, export and serving share: tensors, graphs, bundles and preprocessing.

- `axes`       the closed list of axis names
- `signature`  what an architecture declares about its tensors
- `tasks`      which graphs and tensors each task needs
- `preprocessing`  how a bundle reads requests and writes replies; `checks`: whether that fits its model
- `manifest`   the bundle's frozen, versioned, hashed description, and (`versions`) its versions side by side
- `rows`, `inputs`  rows of different sizes as a batch and back; one row, as every task feeds it
- `images`     pictures as models read them; `headers` what their files say of themselves
- `pixels`     pictures as tokens, as models draw them
- `tunes`      tunes in ABC notation, and (`midi`) as MIDI files
- `text`       tokenisation, the same in training and in serving
- `words`      words and their characters, as taggers read them
- `tags`       tags, the entities that they spell, and (`viterbi`) the best of their sequences
- `sentences`  paragraphs and documents taken apart into sentences
- `items`      the catalogue of a recommender
"""
