"""The tasks, thin: each resolves settings, calls one function, prints.

Invoke imports all of them, whichever is called: so a task imports what it needs itself, in its body.
"""
