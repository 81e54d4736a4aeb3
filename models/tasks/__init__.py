"""What each task adds to a training run: its data, vocabulary, loss and score. A module here has a `TASK`."""
