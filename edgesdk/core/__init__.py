"""The contract every component shares: standard library and numpy only."""
