"""Students: one file each, importable without torch."""
