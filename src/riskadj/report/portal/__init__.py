"""Files that portals of quality registries take."""
