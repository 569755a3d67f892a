"""A database as a folder of plain files, for those who have no pixguard."""
