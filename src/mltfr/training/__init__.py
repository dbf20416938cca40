"""The training loop, its rounds, batches, checkpoints and loggers."""
