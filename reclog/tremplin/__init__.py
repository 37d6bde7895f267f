"""One truth about a host, and a recording through it: survey, place, start, stop. May import all but tasks."""
