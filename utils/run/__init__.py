"""What a run has while it lasts.

context.py     the two LLMs, the configuration, the account and the display, as one argument
run_folder.py  x.run/, locked; earlier results are kept
display.py     how far it is
"""
