"""Why a black box decided as it did about a picture: maps from its answers alone."""
