"""From files to batches.

- `lines`      what all readers of line-based files share
- `tagged`     readers for text with marked entities: columns (CoNLL) and JSON lines
- `words`      the words and characters that taggers read
- `parallel`   readers for parallel text: two line-aligned files or a TSV; splits
- `tokenizer`  BPE tokenizers trained from the data
- `stories`    readers for stories with questions (bAbI)
- `labelled`   readers for labelled text: TSV or CSV
- `input_tokenizer`   tokenizers of models that only read: words, or pieces of them
- `batches`    length-bucketed batches of token ids
- `captions`   pictures with captions: a table, and the pictures that it names
- `pictures`   picture files by name, in folders and tar shards
"""
