"""What only makes sense in a cluster."""
