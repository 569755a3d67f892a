"""Campaigns that try to make pixguard lose results: kills, faults, readers, odd orders, long runs."""
