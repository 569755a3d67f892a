"""What runs every search: protocol, scheduler, memory, objectives, random streams."""
