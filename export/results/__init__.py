"""The matrix of `docs/results.md`: every figure from a recorded run.

- `record`      what is kept of a run, one JSON file each
- `measure`     a finished run → its record: scores, and what its export brings
- `lengths`     BLEU against the length of the source
- `queue`       trains and records what a comparison lacks
- `speeds`      the variants of a comparison, timed anew in turns
- `matrix`      the rows of the table, and the published figures beside them
- `rows`        records → cells
- `plots`       quality against speed, BLEU against length
- `maps`        pictures of attention, from the replies of a running service
- `render`      the documents, from all of this
"""
