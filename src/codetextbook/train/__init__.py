"""Training, applied to a model that knows nothing of it: settings, schedule, loader, loss, optimizer, checkpoints and the loop."""
