"""Recipes: one training method per file, readable from top to bottom."""
