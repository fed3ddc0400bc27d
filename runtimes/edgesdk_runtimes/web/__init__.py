"""The page that `--device browser` serves; run as a module it fetches the page's runtime."""
