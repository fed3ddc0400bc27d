"""Training on clients' own data: one harness of three functions, and what drives it."""
