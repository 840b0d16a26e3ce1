"""proxy_maps."""
