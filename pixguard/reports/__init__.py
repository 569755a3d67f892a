"""The paper's tables, and those it lacks, from SQL."""
