# The CPU backends: portable code, and one translation unit per instruction set with its own compile flags. Only what is
# called after a run-time check may be compiled with such flags.
