"""Training: recipes that distil teachers into students."""
