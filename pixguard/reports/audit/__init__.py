"""What in the published tables contradicts itself, found by arithmetic."""
