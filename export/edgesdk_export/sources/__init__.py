"""Sources: one file per kind of what an export starts from. An underscore serves several."""
