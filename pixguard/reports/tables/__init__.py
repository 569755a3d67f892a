"""Tables: each module declares a family, its numbers or title, what fills it, and its layout."""
