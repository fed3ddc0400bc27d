"""Exporters: one file per target. What begins with an underscore serves them all."""
