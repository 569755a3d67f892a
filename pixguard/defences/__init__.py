"""What undoes or certifies against an attack."""
