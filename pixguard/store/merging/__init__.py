"""Takes the results of other databases into one: ``pixguard db merge``.

A row has the same key on every machine: `rules` states once what makes it the same, and what must
then agree; `sql` makes statements over whole tables of that, `work` gives them in order, `plans`
joins what was planned, and `merge` is the verb.
"""
