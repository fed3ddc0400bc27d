"""What models are for: one file per task, each with everything that is known about it."""
