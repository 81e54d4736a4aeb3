"""Building blocks of the architectures: attention, recurrent and Transformer layers, exportable operations."""
