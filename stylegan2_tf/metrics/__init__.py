"""Metrics that need no download: distances on pixels, pyramids and features, and privacy."""
