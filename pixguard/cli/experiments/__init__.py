"""``pixguard run``: an experiment as command lines, made of a file that a person reads."""
