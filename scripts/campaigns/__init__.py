"""Campaigns that try to make pixguard lose results: kills, faults, readers, long runs."""
