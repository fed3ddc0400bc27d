"""torch modules; the only place where torch may be imported at module level."""
