"""From files to batches.

- `lines`      what all readers of line-based files share
- `parallel`   readers for parallel text: two line-aligned files or a TSV; splits
- `tokenizer`  BPE tokenizers trained from the data
- `batches`    length-bucketed batches of token ids
"""
