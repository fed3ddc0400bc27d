"""Privacy of released labels: mechanisms, their accounting, the budget, rivals and attacks."""
