"""One file per architecture family: its frozen config, module and signature, and the paper it follows."""
