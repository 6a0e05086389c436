"""`make bench`: what Broadcast costs, as ratios to opentelemetry-python and zlib in the same run."""
